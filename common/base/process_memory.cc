#include "common/base/process_memory.h"

#include <unistd.h>

#include <cstdlib>

#include "common/base/fs.h"

namespace hm {

int64_t resident_bytes() {
  // proc(5): size and resident set, in pages.
  const auto statm = read_file("/proc/self/statm", 4096);
  if (!statm) return 0;
  const size_t blank = statm->find(' ');
  if (blank == std::string::npos) return 0;
  return std::strtoll(statm->c_str() + blank, nullptr, 10) * ::sysconf(_SC_PAGESIZE);
}

}  // namespace hm
