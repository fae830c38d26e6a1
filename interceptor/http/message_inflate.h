// The inflater of one direction of permessage-deflate (RFC 7692 7.2.2): raw deflate, message by
// message, the window kept between them until forget(). Private to this folder; zlib is behind it.
#pragma once

#include <memory>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "interceptor/http/decoder_stage.h"

namespace hm::http {

class MessageInflate {
 public:
  virtual ~MessageInflate() = default;
  // Gives out everything that the bytes so far allow.
  [[nodiscard]] virtual Result<void> feed(Bytes bytes, StageOutput& out) = 0;
  // The message is over: the four bytes that the sender cut off are put back.
  [[nodiscard]] virtual Result<void> end_message(StageOutput& out) = 0;
  virtual void forget() = 0;  // no context takeover
};

// Null when zlib has no memory.
[[nodiscard]] std::unique_ptr<MessageInflate> make_message_inflate();

}  // namespace hm::http
