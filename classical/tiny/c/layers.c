// Layers that compute little. y may be x, or one of both, where nothing is restrict.

KERNEL void max_pool(const int8_t* restrict x, int8_t* restrict y, Window w) {
    for (int oy = 0; oy < w.out_height; oy++)
        for (int ox = 0; ox < w.out_width; ox++, y += w.outputs) {
            for (int c = 0; c < w.outputs; c++) y[c] = -128;
            for (int ky = 0; ky < w.kernel_height; ky++)
                for (int kx = 0; kx < w.kernel_width; kx++) {
                    const int iy = oy * w.stride_y - w.top + ky;
                    const int ix = ox * w.stride_x - w.left + kx;
                    if (!is_inside(iy, ix, w)) continue;
                    const int8_t* from = x + (iy * w.in_width + ix) * w.inputs;
                    for (int c = 0; c < w.outputs; c++) y[c] = from[c] > y[c] ? from[c] : y[c];
                }
        }
}

KERNEL void average_pool(const int8_t* restrict x, int8_t* restrict y, int input_zero, Window w,
                         Rescale r) {
    for (int oy = 0; oy < w.out_height; oy++)
        for (int ox = 0; ox < w.out_width; ox++)
            for (int c = 0; c < w.outputs; c++) {
                int32_t sum = 0;
                for (int ky = 0; ky < w.kernel_height; ky++)
                    for (int kx = 0; kx < w.kernel_width; kx++) {
                        const int iy = oy * w.stride_y - w.top + ky;
                        const int ix = ox * w.stride_x - w.left + kx;
                        if (is_inside(iy, ix, w))
                            sum += x[(iy * w.in_width + ix) * w.inputs + c] - input_zero;
                    }
                *y++ = rescale(sum, 0, r);
            }
}

KERNEL void add(const int8_t* x, const int8_t* other, int8_t* y, int count, int32_t factor,
                int32_t other_factor, int zero, int other_zero, Rescale r) {
    const int shift = r.shift[0];
    for (int i = 0; i < count; i++) {
        const int32_t sum = factor * (x[i] - zero) + other_factor * (other[i] - other_zero);
        y[i] = clip(((sum + (1 << (shift - 1))) >> shift) + r.zero, r.low, r.high);
    }
}

// Channels of all parts one after another.
KERNEL void concat(const int8_t* const* parts, const int* channels, const int* zeros, int count,
                   int8_t* restrict y, int pixels, Rescale r) {
    for (int p = 0; p < pixels; p++)
        for (int k = 0; k < count; k++)
            for (int c = 0; c < channels[k]; c++)
                *y++ = rescale(parts[k][p * channels[k] + c] - zeros[k], k, r);
}

KERNEL void clamp(const int8_t* x, int8_t* y, int count, int low, int high) {
    for (int i = 0; i < count; i++) y[i] = clip(x[i], low, high);
}

// [pixels][channels] to [channels][pixels].
KERNEL void flatten(const int8_t* x, int8_t* y, int pixels, int channels) {
    for (int c = 0; c < channels; c++)
        for (int p = 0; p < pixels; p++) *y++ = x[p * channels + c];
}
