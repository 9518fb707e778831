#pragma once

#include <nanobind/nanobind.h>

namespace qsim::cuda {

void bind(nanobind::module_ module);

}  // namespace qsim::cuda
