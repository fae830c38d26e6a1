#include "common/base/result.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace hm {

const char* name_of(Code code) {
  switch (code) {
    case Code::malformed:
      return "malformed";
    case Code::too_large:
      return "too large";
    case Code::timeout:
      return "timeout";
    case Code::refused:
      return "refused";
    case Code::closed:
      return "closed";
    case Code::not_found:
      return "not found";
    case Code::busy:
      return "busy";
    case Code::permission:
      return "permission";
    case Code::unsupported:
      return "unsupported";
    case Code::exhausted:
      return "exhausted";
    case Code::system:
      return "system error";
    case Code::library:
      return "library error";
    case Code::internal:
      return "internal error";
  }
  return "unknown";
}

Code code_of_errno(int error) {
  switch (error) {
    case ENOENT:
      return Code::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::permission;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return Code::exhausted;
    default:
      return Code::system;
  }
}

std::string describe(const Error& error) {
  if (error.detail == 0) return fmt::format("{} at {}", name_of(error.code), error.where);
  if (error.code == Code::library)
    return fmt::format("{} at {} (code {})", name_of(error.code), error.where, error.detail);
  return fmt::format("{} at {} (errno {}: {})", name_of(error.code), error.where, error.detail,
                     std::strerror(static_cast<int>(error.detail)));
}

}  // namespace hm
