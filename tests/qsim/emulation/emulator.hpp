// Launches a unit's kernels block after block. A block's shared memory is as large as asked for and
// holds NaN at first: sanitizers see what is read beyond it, results what is read too early.
#include <cstring>

#include QSIM_UNIT

using namespace qsim::cuda;

template <class Given>
int run_kernel(void (*kernel)(Given), unsigned samples, unsigned parts, unsigned long shared,
               const void* arguments, unsigned long size) {
    if (size < sizeof(Given)) return 1;
    gridDim = {samples, parts, 1};
    for (unsigned y = 0; y < parts; ++y) {
        for (unsigned x = 0; x < samples; ++x) {
            blockIdx = {x, y, 0};
            block_memory = static_cast<char*>(std::aligned_alloc(16, (shared + 31) / 16 * 16));
            std::memset(block_memory, 0xff, shared);
            kernel(*static_cast<const Given*>(arguments));
            std::free(block_memory);
        }
    }
    return 0;
}

// One for each kernel: launch_NAME(samples, parts, shared, arguments, size).
#define QSIM_LAUNCHES(name)                                                              \
    extern "C" int launch_##name(unsigned samples, unsigned parts, unsigned long shared, \
                                 const void* arguments, unsigned long size) {            \
        return run_kernel(name, samples, parts, shared, arguments, size);                \
    }
