// States of the part that watches paths; `flow` leaves it to bracket counting until depth returns:
//
//   top --> value --{--> key_or_end --"--> key --"--> colon --:--> value
//            |  \--[--> value_or_end                                 |
//            '-- string | scalar | flow --> after_value --,--> key_start | value
//                                               '--} or ]--> (end of the outer value)
#include "interceptor/meter/json_skim.h"

#include <bit>
#include <cstring>

#include "interceptor/meter/json_text.h"

namespace hm::meter {
namespace {

constexpr uint16_t kNobody = 0;
constexpr uint16_t kRoot = 1;
constexpr uint16_t kElements = 2;

constexpr uint8_t kBlank = 1;       // RFC 8259 2: blanks between tokens
constexpr uint8_t kScalar = 2;      // may be part of a number or literal
constexpr uint8_t kStructural = 4;  // matters in unwatched values

constexpr std::array<uint8_t, 256> kClass = [] {
  std::array<uint8_t, 256> table{};
  for (const char c : {' ', '\t', '\r', '\n'}) table[static_cast<uint8_t>(c)] = kBlank;
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = kScalar;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = kScalar;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = kScalar;
  for (const char c : {'+', '-', '.'}) table[static_cast<uint8_t>(c)] = kScalar;
  for (const char c : {'"', '{', '}', '[', ']'}) table[static_cast<uint8_t>(c)] = kStructural;
  return table;
}();

constexpr uint64_t kOnes = 0x0101010101010101ULL;
constexpr uint64_t kHighs = 0x8080808080808080ULL;

// High bit set in (at least) the first byte of `word` that equals `byte`.
constexpr uint64_t equal_bytes(uint64_t word, uint8_t byte) {
  const uint64_t diff = word ^ (kOnes * byte);
  return (diff - kOnes) & ~diff & kHighs;
}

// Strings are nearly all of a model's traffic: thirty-two bytes at a time, in plain 64-bit words.
const uint8_t* find_quote_or_backslash(const uint8_t* at, const uint8_t* end) {
  if constexpr (std::endian::native == std::endian::little) {
    while (end - at >= 32) {
      std::array<uint64_t, 4> words;
      std::memcpy(words.data(), at, 32);
      uint64_t any = 0;
      for (const uint64_t word : words) any |= equal_bytes(word, '"') | equal_bytes(word, '\\');
      if (any != 0) break;
      at += 32;
    }
    while (end - at >= 8) {
      uint64_t word = 0;
      std::memcpy(&word, at, 8);
      const uint64_t hits = equal_bytes(word, '"') | equal_bytes(word, '\\');
      if (hits != 0) return at + std::countr_zero(hits) / 8;
      at += 8;
    }
  }
  while (at != end && *at != '"' && *at != '\\') ++at;
  return at;
}

const uint8_t* skip_class(const uint8_t* at, const uint8_t* end, uint8_t wanted) {
  while (at != end && (kClass[*at] & wanted) != 0) ++at;
  return at;
}

const uint8_t* find_structural(const uint8_t* at, const uint8_t* end) {
  while (at != end && kClass[*at] != kStructural) ++at;
  return at;
}

}  // namespace

JsonSkim::JsonSkim(std::span<const SkimPath> paths, SkimEvents& events, TopArray top_array)
    : events_(events), nodes_(3), top_array_(top_array) {
  nodes_[kElements].element = kRoot;
  for (size_t i = 0; i < paths.size(); ++i) add_path(paths[i], static_cast<int16_t>(i));
}

uint16_t JsonSkim::child(uint16_t parent, std::string_view key) const {
  uint16_t at = nodes_[parent].first_child;
  while (at != kNobody && nodes_[at].key != key) at = nodes_[at].next_sibling;
  return at;
}

uint16_t JsonSkim::add_child(uint16_t parent, std::string_view key) {
  if (const uint16_t known = child(parent, key); known != kNobody) return known;
  Node node;
  node.key = key;
  node.next_sibling = nodes_[parent].first_child;
  nodes_.push_back(std::move(node));
  nodes_[parent].first_child = static_cast<uint16_t>(nodes_.size() - 1);
  return nodes_[parent].first_child;
}

uint16_t JsonSkim::add_element(uint16_t parent) {
  if (nodes_[parent].element == kNobody) {
    nodes_.emplace_back();
    nodes_[parent].element = static_cast<uint16_t>(nodes_.size() - 1);
  }
  return nodes_[parent].element;
}

void JsonSkim::add_path(const SkimPath& path, int16_t index) {
  uint16_t node = kRoot;
  std::string_view rest = path.path;
  while (!rest.empty()) {
    if (rest.starts_with("[]")) {
      node = add_element(node);
      rest.remove_prefix(2);
    } else {
      if (rest.front() == '.') rest.remove_prefix(1);
      const size_t length = std::min(rest.find_first_of(".["), rest.size());
      node = add_child(node, rest.substr(0, length));
      rest.remove_prefix(length);
    }
  }
  nodes_[node].path = index;
  nodes_[node].seen_only = path.seen_only;
}

void JsonSkim::reset() {
  state_ = State::top;
  error_.reset();
  depth_ = 0;
  in_flow_string_ = escape_ = elements_ = saw_elements_ = false;
  bom_ = 0;
  whole_values_ = 0;
  key_.clear();
  capture_path_ = -1;
  capture_.clear();
}

void JsonSkim::set_error(Code code, const char* where) {
  error_ = Error{code, where};
  capture_path_ = -1;
  capture_.clear();
}

Result<void> JsonSkim::feed(Bytes bytes) {
  if (error_) return std::unexpected(*error_);
  Cursor at = bytes.data();
  const Cursor end = at + bytes.size();
  capture_from_ = at;
  while (at != end && !error_) at = step(at, end);
  if (error_) return std::unexpected(*error_);
  if (capture_path_ >= 0) keep(capture_from_, end);
  return {};
}

Result<void> JsonSkim::finish() {
  if (error_) return std::unexpected(*error_);
  capture_from_ = nullptr;
  if (state_ == State::scalar && depth_ == 0) end_value(nullptr);  // a number ends with the input
  if (state_ != State::top) set_error(Code::malformed, "json_skim.cut");
  if (error_) return std::unexpected(*error_);
  return {};
}

// Consumes at least one byte, or changes the state.
JsonSkim::Cursor JsonSkim::step(Cursor at, Cursor end) {
  switch (state_) {
    case State::flow:
      return take_flow(at, end);
    case State::string:
      return take_string(at, end);
    case State::key:
      return take_key(at, end);
    case State::scalar:
      at = skip_class(at, end, kScalar);
      if (at != end) end_value(at);
      return at;
    default:
      at = skip_class(at, end, kBlank);
      return at == end ? at : punctuation(at);
  }
}

// One token that is neither blank nor inside something.
JsonSkim::Cursor JsonSkim::punctuation(Cursor at) {
  const uint8_t c = *at;
  switch (state_) {
    case State::top: {
      constexpr std::array<uint8_t, 3> kBom = {0xEF, 0xBB, 0xBF};
      if (whole_values_ == 0 && bom_ < kBom.size() && c == kBom[bom_]) {
        ++bom_;
        return at + 1;
      }
      next_node_ = kRoot;
      begin_value(at);
      break;
    }
    case State::value_or_end:
      if (c == ']') {
        if (close(c)) end_value(at + 1);
        break;
      }
      [[fallthrough]];
    case State::value:
      begin_value(at);
      break;
    case State::key_or_end:
      if (c == '}') {
        if (close(c)) end_value(at + 1);
        break;
      }
      [[fallthrough]];
    case State::key_start:
      if (c != '"') {
        set_error(Code::malformed, "json_skim.key");
        break;
      }
      key_.clear();
      key_escaped_ = key_too_long_ = false;
      state_ = State::key;
      break;
    case State::colon:
      if (c == ':') {
        state_ = State::value;
      } else {
        set_error(Code::malformed, "json_skim.colon");
      }
      break;
    case State::after_value:
      if (c == ',') {
        const Level& level = levels_[depth_ - 1];
        next_node_ = nodes_[level.node].element;
        state_ = level.array ? State::value : State::key_start;
      } else if (close(c)) {
        end_value(at + 1);
      }
      break;
    default:
      set_error(Code::internal, "json_skim.state");
  }
  return at + 1;
}

// One decision for each kind of value, in the order of the picture above.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
void JsonSkim::begin_value(Cursor at) {
  const uint8_t c = *at;
  const Node& node = nodes_[next_node_];
  if (depth_ == 0 && c == '[' && top_array_ == TopArray::elements) {
    elements_ = saw_elements_ = true;
    if (open(true, kElements)) {
      next_node_ = kRoot;
      state_ = State::value_or_end;
    }
    return;
  }
  if (node.path >= 0 && node.seen_only) {
    events_.on_seen(static_cast<size_t>(node.path));
  } else if (node.path >= 0) {
    capture_path_ = node.path;
    capture_skipped_ = false;
    capture_.clear();
    capture_from_ = at;
  }

  if (c == '{' || c == '[') {
    const bool array = c == '[';
    const uint16_t inside = array ? node.element : node.first_child;
    const size_t base = depth_;
    if (!open(array, next_node_)) return;
    if (capture_path_ >= 0 || inside == kNobody) {
      flow_base_ = base;
      state_ = State::flow;
    } else {
      next_node_ = array ? inside : kNobody;
      state_ = array ? State::value_or_end : State::key_or_end;
    }
  } else if (c == '"') {
    state_ = State::string;
  } else if (kClass[c] == kScalar) {
    state_ = State::scalar;
  } else {
    set_error(Code::malformed, "json_skim.value");
  }
}

// `after` is the byte behind the value.
void JsonSkim::end_value(Cursor after) {
  if (capture_path_ >= 0) give_out(after);
  state_ = State::after_value;
  if (depth_ == 0) {
    state_ = State::top;
    ++whole_values_;
    if (elements_) {
      elements_ = false;
    } else {
      events_.on_document_end();
    }
  } else if (elements_ && depth_ == 1) {
    events_.on_document_end();
  }
}

bool JsonSkim::open(bool array, uint16_t node) {
  if (depth_ == kMaxDepth) {
    set_error(Code::too_large, "json_skim.depth");
    return false;
  }
  levels_[depth_++] = {node, array};
  return true;
}

bool JsonSkim::close(uint8_t bracket) {
  const uint8_t expected = depth_ == 0 ? 0 : (levels_[depth_ - 1].array ? ']' : '}');
  if (bracket != expected) {
    set_error(Code::malformed, "json_skim.bracket");
    return false;
  }
  --depth_;
  return true;
}

JsonSkim::Cursor JsonSkim::take_string(Cursor at, Cursor end) {
  while (at != end) {
    if (escape_) {
      escape_ = false;
      ++at;
      continue;
    }
    at = find_quote_or_backslash(at, end);
    if (at == end) break;
    if (*at++ == '\\') {
      escape_ = true;
    } else {
      end_value(at);
      break;
    }
  }
  return at;
}

JsonSkim::Cursor JsonSkim::take_flow(Cursor at, Cursor end) {
  while (at != end) {
    if (escape_) {
      escape_ = false;
      ++at;
    } else if (in_flow_string_) {
      at = find_quote_or_backslash(at, end);
      if (at == end) break;
      escape_ = *at == '\\';
      in_flow_string_ = escape_;
      ++at;
    } else {
      at = find_structural(at, end);
      if (at == end) break;
      const uint8_t c = *at++;
      if (c == '"') {
        in_flow_string_ = true;
      } else if (c == '{' || c == '[') {
        if (!open(c == '[', kNobody)) return at;
      } else if (!close(c)) {
        return at;
      } else if (depth_ == flow_base_) {
        end_value(at);
        return at;
      }
    }
  }
  return at;
}

JsonSkim::Cursor JsonSkim::take_key(Cursor at, Cursor end) {
  while (at != end) {
    const Cursor begin = at;
    bool closed = false;
    if (escape_) {
      escape_ = false;
      ++at;
    } else {
      at = find_quote_or_backslash(at, end);
      closed = at != end && *at == '"';
      if (at != end && !closed) {
        escape_ = key_escaped_ = true;
        ++at;
      }
    }
    const auto length = static_cast<size_t>(at - begin);
    if (key_.size() + length > kMaxKey) {
      key_too_long_ = true;
    } else {
      key_.append(reinterpret_cast<const char*>(begin), length);
    }
    if (closed) {
      match_key();
      state_ = State::colon;
      return at + 1;
    }
  }
  return at;
}

void JsonSkim::match_key() {
  next_node_ = kNobody;
  if (key_too_long_) return;
  const uint16_t parent = levels_[depth_ - 1].node;
  if (!key_escaped_) {
    next_node_ = child(parent, key_);
  } else if (const auto plain = unescape(key_)) {
    next_node_ = child(parent, *plain);
  }
}

void JsonSkim::keep(Cursor begin, Cursor end) {
  const auto length = static_cast<size_t>(end - begin);
  if (capture_skipped_ || capture_.size() + length > kMaxValue) {
    capture_skipped_ = true;
    capture_.clear();
    return;
  }
  capture_.append(reinterpret_cast<const char*>(begin), length);
}

void JsonSkim::give_out(Cursor after) {
  const auto path = static_cast<size_t>(capture_path_);
  capture_path_ = -1;
  const auto length = static_cast<size_t>(after - capture_from_);
  if (!capture_skipped_ && capture_.empty() && length <= kMaxValue) {
    events_.on_value(path, {reinterpret_cast<const char*>(capture_from_), length});
    return;
  }
  keep(capture_from_, after);
  if (capture_skipped_) {
    events_.on_skipped(path);
  } else {
    events_.on_value(path, capture_);
  }
  capture_.clear();
}

}  // namespace hm::meter
