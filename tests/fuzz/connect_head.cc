// The first byte says how the rest is cut. However it is cut, the head must be the same.
#include "common/wire/connect_head.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace {

using hm::wire::HeadState;

std::string parse(hm::Bytes bytes, size_t step) {
  hm::wire::ConnectHeadReader reader(512);
  size_t total = 0;
  HeadState state = HeadState::more;
  while (!bytes.empty() && state == HeadState::more) {
    const size_t size = std::min(step, bytes.size());
    size_t used = 0;
    state = reader.feed(bytes.first(size), used);
    if (used > size || (state == HeadState::more && used != size)) abort();
    total += used;
    bytes = bytes.subspan(size);
  }
  if (state == HeadState::more) return "more";
  if (state == HeadState::failed)
    return reader.failure() == hm::wire::HeadFailure::too_large ? "large" : "bad";
  const hm::wire::ConnectHead& head = reader.head();
  if (head.lines.size() != head.fields.size()) abort();
  if (head.connect && (head.host.empty() || head.port == 0)) abort();
  // What we would send to an origin is a head again.
  if (!head.connect && !head.host.empty()) {
    const std::string again = hm::wire::origin_form_head(head);
    hm::wire::ConnectHeadReader second(2048);
    size_t used = 0;
    if (second.feed(hm::as_bytes(again), used) != HeadState::complete || used != again.size())
      abort();
  }
  return std::to_string(total) + ' ' + head.method + ' ' + head.host + ' ' +
         std::to_string(head.port) + ' ' + head.target;
}

void parse_answers(hm::Bytes bytes) {
  hm::wire::AnswerHeadReader reader(512);
  while (!bytes.empty()) {
    size_t used = 0;
    const HeadState state = reader.feed(bytes, used);
    if (state != HeadState::complete) return;
    if (reader.status() < 100 || reader.status() > 999) abort();
    bytes = bytes.subspan(used);
    reader.next();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const hm::Bytes bytes(data + 1, size - 1);
  const std::string whole = parse(bytes, SIZE_MAX);
  if (parse(bytes, size_t{1} + data[0] % 16) != whole) abort();
  parse_answers(bytes);
  return 0;
}
