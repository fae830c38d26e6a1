#include "interceptor/http/h1_body.h"

#include <algorithm>
#include <optional>

#include "interceptor/http/text.h"

namespace hm::http {
namespace {

// The value of every Content-Length field and list element, which must agree (RFC 9112 6.3, 5).
Result<std::optional<uint64_t>> content_length(const std::vector<Header>& headers) {
  std::optional<uint64_t> length;
  for (const Header& header : headers) {
    if (header.name != "content-length") continue;
    std::string_view list = header.value;
    do {
      const std::string_view digits = next_element(list);
      if (digits.empty() || digits.size() > 18) return fail(Code::malformed, "h1.content_length");
      uint64_t value = 0;
      for (const char c : digits) {
        if (c < '0' || c > '9') return fail(Code::malformed, "h1.content_length");
        value = value * 10 + static_cast<uint64_t>(c - '0');
      }
      if (length && *length != value) return fail(Code::malformed, "h1.content_length");
      length = value;
    } while (!list.empty());
  }
  return length;
}

// True when chunked, false when there is no coding (or "identity", which old servers send).
Result<bool> is_chunked(const std::vector<Header>& headers) {
  bool chunked = false;
  for (const Header& header : headers) {
    if (header.name != "transfer-encoding") continue;
    for (std::string_view list = header.value; !list.empty();) {
      const std::string_view coding = next_element(list);
      if (coding.empty() || equal_nocase(coding, "identity")) continue;
      if (!equal_nocase(coding, "chunked")) return fail(Code::unsupported, "h1.transfer_coding");
      chunked = true;
    }
  }
  return chunked;
}

Result<BodyFraming> framing(const std::vector<Header>& headers, BodyFraming::Kind otherwise) {
  const auto chunked = is_chunked(headers);
  if (!chunked) return std::unexpected(chunked.error());
  if (*chunked) return BodyFraming{BodyFraming::Kind::chunked, 0};
  const auto length = content_length(headers);
  if (!length) return std::unexpected(length.error());
  const std::optional<uint64_t>& said = *length;
  return said ? BodyFraming{BodyFraming::Kind::length, *said} : BodyFraming{otherwise, 0};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<BodyFraming> request_framing(const RequestHead& head) {
  return framing(head.headers, BodyFraming::Kind::none);
}

Result<BodyFraming> response_framing(const ResponseHead& head, bool to_head_request) {
  if (to_head_request || head.status < 200 || head.status == 204 || head.status == 304) {
    return BodyFraming{};
  }
  return framing(head.headers, BodyFraming::Kind::until_close);
}

void BodyReader::begin(const BodyFraming& framing) {
  left_ = 0;
  line_bytes_ = 0;
  seen_cr_ = false;
  trailers_.reset();
  switch (framing.kind) {
    case BodyFraming::Kind::none:
      state_ = State::done;
      break;
    case BodyFraming::Kind::length:
      left_ = framing.length;
      state_ = left_ == 0 ? State::done : State::length;
      break;
    case BodyFraming::Kind::chunked:
      state_ = State::size_start;
      break;
    case BodyFraming::Kind::until_close:
      state_ = State::until_close;
      break;
  }
}

Result<BodyReader::Step> BodyReader::feed(Bytes bytes) {
  switch (state_) {
    case State::done:
      return Step{};
    case State::until_close:
      return Step{bytes.size(), bytes};
    case State::length:
    case State::chunk: {
      const auto size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      left_ -= size;
      if (left_ == 0) state_ = state_ == State::length ? State::done : State::chunk_end;
      return Step{size, bytes.first(size)};
    }
    case State::trailers: {
      const auto used = trailers_.feed(bytes);
      if (!used) return std::unexpected(used.error());
      if (trailers_.done()) state_ = State::done;
      return Step{*used, {}};
    }
    default: {
      const auto used = chunk_line(bytes);
      if (!used) return std::unexpected(used.error());
      return Step{*used, {}};
    }
  }
}

// From the end of one chunk's data to the beginning of the next one's.
Result<size_t> BodyReader::chunk_line(Bytes bytes) {
  size_t used = 0;
  while (used < bytes.size() && state_ >= State::size_start && state_ <= State::chunk_end &&
         state_ != State::chunk) {
    if (++line_bytes_ > kMaxChunkLine) return fail(Code::too_large, "h1.chunk_line");
    const auto ok = chunk_line_char(static_cast<char>(bytes[used]));
    if (!ok) return std::unexpected(ok.error());
    ++used;
  }
  return used;
}

Result<void> BodyReader::chunk_line_char(char c) {
  switch (state_) {
    case State::chunk_end:
      if (c == '\r' && !seen_cr_) {
        seen_cr_ = true;
        return {};
      }
      if (c != '\n') return fail(Code::malformed, "h1.chunk_end");
      seen_cr_ = false;
      line_bytes_ = 0;
      state_ = State::size_start;
      return {};

    case State::size_start:
      if (is_blank(c)) return {};
      if (hex_digit(c) < 0) return fail(Code::malformed, "h1.chunk_size");
      left_ = 0;
      state_ = State::size;
      [[fallthrough]];

    case State::size: {
      const int digit = hex_digit(c);
      if (digit >= 0) {
        if (left_ >> 58 != 0) return fail(Code::malformed, "h1.chunk_size");
        left_ = left_ << 4 | static_cast<uint64_t>(digit);
        return {};
      }
      if (c != '\n' && c != '\r' && c != ';' && !is_blank(c)) {
        return fail(Code::malformed, "h1.chunk_size");
      }
      state_ = State::extension;
      [[fallthrough]];
    }

    default:  // extension: nobody uses them; passed over to the end of the line
      if (c != '\n') return {};
      line_bytes_ = 0;
      state_ = left_ == 0 ? State::trailers : State::chunk;
      return {};
  }
}

}  // namespace hm::http
