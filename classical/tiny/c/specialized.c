// Kernels that are inlined where they are called, so that the compiler knows all sizes.

#if defined(__GNUC__)
#define KERNEL static inline __attribute__((always_inline, unused))
#else
#define KERNEL static inline
#endif

// A block of PIXELS columns times ROWS rows of weights shares what it loads.
#define ROWS 2

KERNEL void multiply_block(const int16_t* columns, int8_t* y, const int8_t* weight, int length,
                           int pixels, int stride, int row, int rows, Rescale r) {
    int32_t sums[PIXELS][ROWS] = {{0}};
    for (int i = 0; i < length; i++)
        for (int p = 0; p < pixels; p++)
            for (int k = 0; k < rows; k++)
                sums[p][k] += columns[p * length + i] * (int16_t)weight[(row + k) * length + i];
    for (int p = 0; p < pixels; p++)
        for (int k = 0; k < rows; k++)
            y[p * stride + row + k] = rescale(sums[p][k] + r.bias[row + k], row + k, r);
}

// Columns [pixels][length] times some rows of weights [outputs][length] to y [pixels][outputs].
KERNEL void multiply(const int16_t* columns, int8_t* y, const int8_t* weight, int length,
                     int pixels, int outputs, int row, int rows, Rescale r) {
    const int end = row + rows;
    for (; row + ROWS <= end; row += ROWS)
        multiply_block(columns, y, weight, length, pixels, outputs, row, ROWS, r);
    if (rows % ROWS) multiply_block(columns, y, weight, length, pixels, outputs, end - 1, 1, r);
}

// What one result of a group is made of, as a column.
KERNEL void gather(const int8_t* x, int16_t* restrict column, int pixel, int group, int pad,
                   Window w) {
    const int depth = w.inputs / w.groups;
    const int y0 = pixel / w.out_width * w.stride_y - w.top;
    const int x0 = pixel % w.out_width * w.stride_x - w.left;
    for (int iy = y0; iy < y0 + w.kernel_height; iy++)
        for (int ix = x0; ix < x0 + w.kernel_width; ix++, column += depth) {
            const int8_t* from = x + (iy * w.in_width + ix) * w.inputs + group * depth;
            if (is_inside(iy, ix, w))
                for (int i = 0; i < depth; i++) column[i] = from[i];
            else
                for (int i = 0; i < depth; i++) column[i] = (int16_t)pad;
        }
}

KERNEL void conv2d_block(const int8_t* x, int8_t* y, int16_t* columns, const int8_t* weight,
                         int pixel, int pixels, int pad, Window w, Rescale r) {
    const int length = w.kernel_height * w.kernel_width * (w.inputs / w.groups);
    const int rows = w.outputs / w.groups;
    for (int g = 0; g < w.groups; g++) {
        for (int p = 0; p < pixels; p++) gather(x, columns + p * length, pixel + p, g, pad, w);
        multiply(columns, y + pixel * w.outputs, weight, length, pixels, w.outputs, g * rows, rows,
                 r);
    }
}

KERNEL void conv2d(const int8_t* x, int8_t* y, int16_t* scratch, const int8_t* weight, int pad,
                   Window w, Rescale r) {
    const int pixels = w.out_height * w.out_width, rest = pixels % PIXELS;
    for (int p = 0; p < pixels - rest; p += PIXELS)
        conv2d_block(x, y, scratch, weight, p, PIXELS, pad, w, r);
    for (int p = pixels - rest; rest && p < pixels; p++)
        conv2d_block(x, y, scratch, weight, p, 1, pad, w, r);
}

KERNEL void pointwise_block(const int8_t* x, int8_t* y, int16_t* restrict columns,
                            const int8_t* weight, int pixel, int pixels, Window w, Rescale r) {
    for (int i = 0; i < pixels * w.inputs; i++) columns[i] = x[pixel * w.inputs + i];
    multiply(columns, y + pixel * w.outputs, weight, w.inputs, pixels, w.outputs, 0, w.outputs, r);
}

// 1x1 with stride 1. A block is read before it is written, so y may be x if it is no larger.
KERNEL void pointwise(const int8_t* x, int8_t* y, int16_t* scratch, const int8_t* weight, int pad,
                      Window w, Rescale r) {
    (void)pad;
    const int pixels = w.out_height * w.out_width, rest = pixels % PIXELS;
    for (int p = 0; p < pixels - rest; p += PIXELS)
        pointwise_block(x, y, scratch, weight, p, PIXELS, w, r);
    for (int p = pixels - rest; rest && p < pixels; p++)
        pointwise_block(x, y, scratch, weight, p, 1, w, r);
}

// Each channel is read to a buffer with its padding before it is written, so y may be x if it is
// no larger.
KERNEL void depthwise(const int8_t* x, int8_t* y, int16_t* scratch, const int8_t* weight, int pad,
                      Window w, Rescale r) {
    int8_t* restrict buffer = (int8_t*)scratch;
    const int height = (w.out_height - 1) * w.stride_y + w.kernel_height;
    const int width = (w.out_width - 1) * w.stride_x + w.kernel_width;
    for (int i = 0; i < height * width; i++) buffer[i] = (int8_t)pad;
    for (int c = 0; c < w.outputs; c++) {
        const int8_t* kernel = weight + c * w.kernel_height * w.kernel_width;
        for (int iy = 0; iy < w.in_height && iy + w.top < height; iy++)
            for (int ix = 0; ix < w.in_width && ix + w.left < width; ix++)
                buffer[(iy + w.top) * width + ix + w.left] =
                    x[(iy * w.in_width + ix) * w.inputs + c];
        for (int oy = 0; oy < w.out_height; oy++)
            for (int ox = 0; ox < w.out_width; ox++) {
                const int8_t* from = buffer + oy * w.stride_y * width + ox * w.stride_x;
                int32_t sum = r.bias[c];
                for (int ky = 0; ky < w.kernel_height; ky++)
                    for (int kx = 0; kx < w.kernel_width; kx++)
                        sum += kernel[ky * w.kernel_width + kx] * from[ky * width + kx];
                y[(oy * w.out_width + ox) * w.outputs + c] = rescale(sum, c, r);
            }
    }
}
