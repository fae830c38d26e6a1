// The input is a schedule: a byte says who speaks (bit 0), how the piece is cut (bit 1) and how
// long it is (the rest); 0xff ends a side. The observer must keep its promises about order: each
// exchange has one head, one end, nothing behind the end; and cutting pieces must not change what
// it says.
#include "interceptor/http/h1_observer.h"

#include <algorithm>
#include <string>

#include "tests/fuzz/exchange_judge.h"

namespace {

using hm::fuzz::require;

// HTTP/1.1 answers in the order of the requests.
class Judge final : public hm::fuzz::ExchangeJudge {
 public:
  Judge() : ExchangeJudge(64) {}
  void on_response_head(hm::http::ExchangeId id, const hm::http::ResponseHead& head) override {
    require(!open_.empty() && open_.begin()->first == id);
    ExchangeJudge::on_response_head(id, head);
  }
};

std::string play(hm::Bytes input, bool cut) {
  Judge judge;
  hm::http::H1Observer observer(judge);
  bool failed = false;
  while (input.size() > 1) {
    const uint8_t order = input.front();
    input = input.subspan(1);
    if (order >= 0xfc) {
      order % 2 == 0 ? observer.client_ended(order < 0xfe) : observer.origin_ended(order < 0xfe);
      continue;
    }
    const size_t size = std::min<size_t>(size_t{1} + (order >> 2) * 4, input.size());
    hm::Bytes piece = input.first(size);
    input = input.subspan(size);
    while (!piece.empty()) {
      const size_t step = cut && (order & 2) != 0 ? 1 : piece.size();
      const std::string exact(hm::as_text(piece.first(step)));
      const auto result = order % 2 == 0 ? observer.from_client(hm::as_bytes(exact))
                                         : observer.from_origin(hm::as_bytes(exact));
      if (!result && !failed) judge.failed(result.error().code);
      require(!failed || !result);
      failed = !result;
      piece = piece.subspan(step);
    }
  }
  observer.client_ended(true);
  observer.origin_ended(true);
  require(failed || judge.all_ended());
  return judge.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const hm::Bytes bytes(data, size);
  require(play(bytes, false) == play(bytes, true));
  return 0;
}
