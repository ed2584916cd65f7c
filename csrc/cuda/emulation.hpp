// What only the emulation of the kernels can be asked for.
#pragma once

#include "cuda/team.hpp"

namespace marketsim::device {

// The order in which the ranks of a team run within a phase.
void set_rank_order(RankOrder order);

}  // namespace marketsim::device
