// Which instruction set the kernels run on, decided once at load and changeable by tests.
#pragma once

#include <string>
#include <vector>

namespace marketsim {

enum class Isa { baseline = 0, avx2 = 1, avx512 = 2 };

// The best instruction set of this processor, or the one that was set.
Isa active_isa();

// Sets the instruction set that the environment variable MARKETSIM_ISA names, if any. Called once,
// at load: getenv races with whoever writes the environment. Throws as set_isa.
void read_isa_variable();

// Throws std::invalid_argument where `name` is unknown or not supported here.
void set_isa(const std::string& name);

std::string isa_name(Isa isa);
std::vector<std::string> supported_isas();

}  // namespace marketsim
