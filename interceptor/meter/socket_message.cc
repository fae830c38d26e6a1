#include "interceptor/meter/socket_message.h"

#include <ranges>
#include <utility>

#include "common/base/counters.h"
#include "interceptor/meter/json_text.h"

namespace hm::meter {

void SocketMessage::begin() {
  skim_.reset();
  told_.clear();
  kept_ = 0;
}

void SocketMessage::feed(Bytes bytes) {
  if (!skim_.in_error()) std::ignore = skim_.feed(bytes);
}

bool SocketMessage::end() {
  const bool whole = !skim_.in_error() && skim_.finish() && skim_.whole_values() == 1;
  if (!whole) counters::get("meter.json_unparsable").add();
  return whole;
}

std::string_view SocketMessage::field(size_t path) const {
  for (const Told& told : std::views::reverse(told_)) {
    if (told.path == path && !told.seen_only) return told.json;
  }
  return {};
}

std::string SocketMessage::text(size_t path) const {
  return string_of(field(path)).value_or("");
}

void SocketMessage::tell(Shape& shape) const {
  const size_t own = shape.fields().size();
  for (const Told& told : told_) {
    if (told.path >= own) continue;
    if (told.seen_only) {
      shape.on_seen(told.path);
    } else {
      shape.on_value(told.path, told.json);
    }
  }
}

void SocketMessage::on_value(size_t path, std::string_view json) {
  keep({path, false, std::string(json)});
}

void SocketMessage::on_seen(size_t path) {
  keep({path, true, {}});
}

void SocketMessage::on_skipped(size_t) {
  counters::get("meter.json_value_skipped").add();
}

void SocketMessage::keep(Told&& told) {
  if (told_.size() == kMaxValues || told.json.size() > kMaxKept - kept_) {
    return counters::get("meter.socket_value_dropped").add();
  }
  kept_ += told.json.size();
  told_.push_back(std::move(told));
}

}  // namespace hm::meter
