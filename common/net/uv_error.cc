#include <cerrno>

#include "common/net/uv_handle.h"

namespace hm::net {

Error error_of(int64_t status_or_errno, const char* where) {
  if (status_or_errno == UV_EOF) return {Code::closed, where, 0};
  const int64_t number = status_or_errno < 0 ? -status_or_errno : status_or_errno;
  switch (number) {
    case ECONNREFUSED:
      return {Code::refused, where, number};
    case ETIMEDOUT:
      return {Code::timeout, where, number};
    case EADDRINUSE:
      return {Code::busy, where, number};
    case ENOENT:
      return {Code::not_found, where, number};
    case EACCES:
    case EPERM:
      return {Code::permission, where, number};
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case EPIPE:
      return {Code::closed, where, number};
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return {Code::exhausted, where, number};
    default:
      return {Code::system, where, number};
  }
}

}  // namespace hm::net
