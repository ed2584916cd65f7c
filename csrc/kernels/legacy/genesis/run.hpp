// The bar loop of the second old system: decide, exit, enter at each close.
#pragma once

#include "kernels/legacy/genesis/records.hpp"

namespace marketsim::genesis {

// rows [bar]. A bar whose exits would divide by an average range of 0 ends the run
// (Outcome::failed_bar), or with skip_errors leaves no equity row.
Outcome run(const Inputs& in, const Settings& settings, BarRow* rows);

}  // namespace marketsim::genesis
