// Python's view of the studies. Tensors come as addresses: the Python side holds them, contiguous.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace kernels;

namespace {

const InstructionSet& instruction_set() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2;
#endif
    return baseline;
}

const InstructionSet& chosen = instruction_set();

const std::vector<Method<Matmul>> kMatmuls = {
    {"naive", matmul_naive},       {"reordered", matmul_reordered}, {"tiled", matmul_tiled},
    {"unrolled", matmul_unrolled}, {"simd", chosen.matmul_simd},    {"threads", matmul_threads},
    {"all", chosen.matmul_all},
};

// By layout of x, w and y.
const std::vector<Method<Convolution>> kConvolutions = {
    {"nchw naive", convolution_naive},    {"nchw direct", chosen.direct},
    {"nchw im2col", chosen.im2col},       {"nchw winograd", chosen.winograd},
    {"nchw depthwise", chosen.depthwise}, {"nhwc naive", convolution_naive_nhwc},
    {"nhwc direct", chosen.direct_nhwc},
};

template <class Problem>
void run(const std::vector<Method<Problem>>& methods, const std::string& name,
         const Problem& problem) {
    for (const Method<Problem>& method : methods)
        if (name == method.name) return method.run(problem);
    throw std::invalid_argument("no method " + name);
}

const float* read(uintptr_t address) { return reinterpret_cast<const float*>(address); }
float* write(uintptr_t address) { return reinterpret_cast<float*>(address); }

template <class Problem>
std::vector<std::string> names(const std::vector<Method<Problem>>& methods) {
    std::vector<std::string> found;
    for (const Method<Problem>& method : methods) found.emplace_back(method.name);
    return found;
}

}  // namespace

NB_MODULE(_kernels, m) {
    m.attr("isa") = chosen.name;
    m.attr("matmuls") = names(kMatmuls);
    m.attr("convolutions") = names(kConvolutions);
    m.def("matmul", [](const std::string& method, std::array<int64_t, 3> sizes, uintptr_t a,
                       uintptr_t b, uintptr_t c, int threads) {
        const nb::gil_scoped_release release;
        const auto [rows, columns, inner] = sizes;
        run(kMatmuls, method, {rows, columns, inner, read(a), read(b), write(c), threads});
    });
    m.def("convolve", [](const std::string& method, std::array<int64_t, 8> sizes, uintptr_t x,
                         uintptr_t w, uintptr_t y, int threads) {
        const nb::gil_scoped_release release;
        run(kConvolutions, method,
            {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7],
             read(x), read(w), write(y), threads});
    });
    m.def("multiply_add", [](int64_t steps, int threads) {
        const nb::gil_scoped_release release;
        return chosen.multiply_add(steps, threads);
    });
}
