// What all kernels share. Activations are int8 [height][width][channels], weights int8
// [outputs][height][width][inputs / groups], and >> of negative numbers is arithmetic.

typedef struct {
    int in_height, in_width, inputs;
    int out_height, out_width, outputs;
    int kernel_height, kernel_width;
    int stride_y, stride_x;
    int top, left;  // padding
    int groups;
} Window;

// From sums to int8; the arrays have an entry for each channel.
typedef struct {
    const int32_t *bias, *multiplier;
    const uint8_t* shift;
    int zero, low, high;
} Rescale;

static inline int8_t clip(int64_t q, int low, int high) {
    return (int8_t)(q < low ? low : q > high ? high : q);
}

static inline int8_t rescale(int32_t sum, int channel, Rescale r) {
    const int shift = r.shift[channel];
    const int64_t product = (int64_t)sum * r.multiplier[channel] + ((int64_t)1 << (shift - 1));
    return clip((product >> shift) + r.zero, r.low, r.high);
}

static inline int is_inside(int iy, int ix, Window w) {
    return iy >= 0 && iy < w.in_height && ix >= 0 && ix < w.in_width;
}
