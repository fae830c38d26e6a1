// The one way a function says no. An Error carries no text and allocates nothing: text is made
// where it is logged or printed (describe()).
#pragma once

#include <cstdint>
#include <expected>
#include <string>

namespace hm {

enum class Code : uint8_t {
  malformed,    // the peer or a file said something that is not the format
  too_large,    // a bound was reached
  timeout,      // a deadline passed
  refused,      // a peer or a rule said no
  closed,       // the other end is gone
  not_found,    // no such host, file, row
  busy,         // taken or locked by somebody else
  permission,   // the system does not allow it, or a file's mode is too open
  unsupported,  // understood, and not something we do
  exhausted,    // out of memory, descriptors, disk
  system,       // an errno, in detail
  library,      // a library's own code, in detail
  internal,     // our own broken assumption
};

struct Error {
  Code code = Code::internal;
  const char* where = "";  // static, dotted: "ca_store.load.key"
  int64_t detail = 0;      // errno (positive), or the library's code; 0 when there is none

  friend bool operator==(const Error& a, const Error& b) {
    return a.code == b.code && a.detail == b.detail;
  }
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Code code, const char* where, int64_t detail = 0) {
  return std::unexpected(Error{code, where, detail});
}

[[nodiscard]] const char* name_of(Code code);

// What an errno of the file system's means here; `system` for all others.
[[nodiscard]] Code code_of_errno(int error);

// "timeout at dialer.connect (errno 110: Connection timed out)"
[[nodiscard]] std::string describe(const Error& error);

}  // namespace hm
