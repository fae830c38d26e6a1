#include "interceptor/http/h2_head.h"

#include <utility>

#include "interceptor/http/text.h"

namespace hm::http {
namespace {

constexpr size_t kFieldOverhead = 32;
constexpr std::string_view kVersion = "2";

}  // namespace

void H2Head::begin(bool wanted) {
  wanted_ = wanted;
  size_ = 0;
  fields_.clear();
  for (std::string* pseudo : {&method_, &path_, &authority_, &protocol_, &status_}) pseudo->clear();
}

void H2Head::on_field(std::string_view name, std::string_view value) {
  if (!wanted_ || too_large()) return;
  size_ += name.size() + value.size() + kFieldOverhead;
  if (too_large()) return;
  if (name.starts_with(':')) return keep_pseudo(name, value);
  fields_.push_back({lower(name), std::string(value)});
}

void H2Head::keep_pseudo(std::string_view name, std::string_view value) {
  if (name == ":method") method_ = value;
  if (name == ":path") path_ = value;
  if (name == ":authority") authority_ = value;
  if (name == ":protocol") protocol_ = value;
  if (name == ":status") status_ = value;
}

Result<RequestHead> H2Head::take_request() {
  RequestHead head;
  head.method = std::move(method_);
  head.target = std::move(path_);
  head.authority = std::move(authority_);
  head.version = kVersion;
  head.headers = take_fields();
  if (head.authority.empty()) head.authority = head.header("host");
  // CONNECT has no path but in its extended form (RFC 9113 8.5, RFC 8441 4).
  if (head.method == "CONNECT" && head.target.empty()) head.target = head.authority;
  if (head.method.empty() || head.target.empty()) return fail(Code::malformed, "h2.request");
  if (!protocol_.empty()) head.headers.push_back({":protocol", std::move(protocol_)});
  return head;
}

Result<ResponseHead> H2Head::take_response() {
  const auto digit = [this](size_t at) { return status_[at] >= '0' && status_[at] <= '9'; };
  if (status_.size() != 3 || !digit(0) || !digit(1) || !digit(2) || status_[0] == '0') {
    return fail(Code::malformed, "h2.status");
  }
  ResponseHead head;
  head.status = (status_[0] - '0') * 100 + (status_[1] - '0') * 10 + (status_[2] - '0');
  head.version = kVersion;
  head.headers = take_fields();
  return head;
}

std::vector<Header> H2Head::take_fields() {
  return std::exchange(fields_, {});
}

}  // namespace hm::http
