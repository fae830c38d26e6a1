// One WebSocket fed through a ConnectionMeter as real frames.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interceptor/meter/connection_meter.h"
#include "tests/support/splits.h"
#include "tests/unit/meter/support.h"

namespace hm::test {

struct SocketLine {
  bool from_client = false;
  std::string text;  // of a message
  bool raw = false;  // `text` is bytes as they are on the wire
};

struct SocketForm {
  bool deflate = false;
  bool keeps_context = true;
  size_t fragments = 1;  // of each message, with a ping between two of them
};

struct Socket {
  std::string host;
  std::string target;
  std::vector<http::Header> request_headers;
  std::vector<http::Header> response_headers;
  std::vector<SocketLine> lines;
  http::EndKind end = http::EndKind::complete;
  bool extended_connect = false;  // as over HTTP/2
};

// Before each line a millisecond passes.
[[nodiscard]] KeptRecords meter_socket(const Socket& socket, const SocketForm& form = {},
                                       const Split& split = {"whole", {1 << 20}});

}  // namespace hm::test
