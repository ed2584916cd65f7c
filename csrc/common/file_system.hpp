// What kind of file system a path lies on.
#pragma once

#include <string>

namespace marketsim {

// The kind of network file system that a path lies on, such as "nfs"; empty where it is local or
// cannot be told.
std::string network_file_system(const std::string& path);

}  // namespace marketsim
