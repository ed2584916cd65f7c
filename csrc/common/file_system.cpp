#include "common/file_system.hpp"

#include <sys/vfs.h>

#include <cstdint>

namespace marketsim {

std::string network_file_system(const std::string& path) {
  static constexpr struct {
    uint32_t magic;
    const char* name;
  } kinds[] = {{0x6969, "nfs"},       {0xFF534D42, "cifs"},   {0xFE534D42, "smb"},
               {0x517B, "smb"},       {0x01021997, "9p"},     {0x65735546, "fuse"},
               {0x00C36400, "ceph"},  {0x0BD00BD0, "lustre"}, {0x47504653, "gpfs"},
               {0x5346414F, "afs"},   {0x6B414653, "afs"},    {0x73757245, "coda"},
               {0x19830326, "fhgfs"}, {0x786F4256, "vboxsf"}, {0x7461636F, "ocfs2"},
               {0x01161970, "gfs2"},  {0xAAD7AAEA, "panfs"},  {0x013111A8, "ibrix"}};
  struct statfs found;
  if (::statfs(path.c_str(), &found) != 0) return "";
  for (const auto& kind : kinds) {
    if (kind.magic == static_cast<uint32_t>(found.f_type)) return kind.name;
  }
  return "";
}

}  // namespace marketsim
