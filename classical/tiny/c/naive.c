// One convolution for all sizes.

#if defined(__GNUC__)
#define KERNEL static __attribute__((unused))
#else
#define KERNEL static
#endif

KERNEL void conv2d(const int8_t* x, int8_t* y, int16_t* scratch, const int8_t* weight, int pad,
                   Window w, Rescale r) {
    (void)scratch;
    const int depth = w.inputs / w.groups;
    for (int oy = 0; oy < w.out_height; oy++)
        for (int ox = 0; ox < w.out_width; ox++)
            for (int o = 0; o < w.outputs; o++) {
                const int start = o / (w.outputs / w.groups) * depth;
                const int8_t* factor = weight + o * w.kernel_height * w.kernel_width * depth;
                int32_t sum = r.bias[o];
                for (int ky = 0; ky < w.kernel_height; ky++)
                    for (int kx = 0; kx < w.kernel_width; kx++)
                        for (int i = 0; i < depth; i++) {
                            const int iy = oy * w.stride_y - w.top + ky;
                            const int ix = ox * w.stride_x - w.left + kx;
                            const int pixel = iy * w.in_width + ix;
                            const int inside = is_inside(iy, ix, w);
                            sum += *factor++ * (inside ? x[pixel * w.inputs + start + i] : pad);
                        }
                *y++ = rescale(sum, o, r);
            }
}
