#include "interceptor/relay/ledger_collector.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/wire/control_message.h"
#include "common/wire/dead_ledger.h"
#include "common/wire/miss.h"

namespace hm::relay {
namespace {

constexpr int64_t kPeriodMs = 1000;
constexpr int64_t kWaitingMs = 100;
constexpr int64_t kLookPeriodUs = 5'000'000;
// A store that is ill does not keep a stopping process waiting: the entries stay with the edge.
constexpr int64_t kPatienceUs = 1'000'000;
constexpr int64_t kTimeoutMs = 1000;
constexpr size_t kMaxAnswer = 4 * 1024 * 1024;
constexpr size_t kMostFiles = 16;

MissRecord record_of(wire::Miss&& miss) {
  MissRecord record;
  record.source = miss.source();
  record.sequence = miss.number;
  record.at_us = miss.at_us;
  record.host = std::move(miss.host);
  record.reason = std::move(miss.reason);
  record.detail = std::move(miss.detail);
  record.count = miss.count;
  record.bytes_up = miss.bytes_up;
  record.bytes_down = miss.bytes_down;
  record.duration_us = miss.duration_us;
  record.client_port = miss.client_port;
  record.call_id = std::move(miss.call_id);
  return record;
}

}  // namespace

struct LedgerCollector::Files {
  std::vector<wire::DeadLedger> files;
  std::vector<MissRecord> misses;

  void take(const wire::LedgerFolders& folders, wire::LedgerKind kind, int64_t now_us) {
    for (wire::DeadLedger& file : wire::DeadLedger::find(folders, kind, kMostFiles)) {
      const size_t before = misses.size();
      if (kind == wire::LedgerKind::edge) file.recover(now_us);
      for (const wire::MissSlot& slot : file.slots()) {
        if (kind == wire::LedgerKind::edge) {
          if (slot.state == wire::MissSlot::done) misses.push_back(record_of(slot.miss()));
        } else if (slot.state == wire::MissSlot::open && slot.whole() && slot.count > 0) {
          wire::Miss begun = slot.miss();
          begun.call_id = slot.call();
          misses.push_back(record_of(std::move(begun)));
          misses.back().source = "flights-" + misses.back().source.substr(5);
          misses.back().less_rows = true;
        }
      }
      if (misses.size() == before)
        file.remove();
      else
        files.push_back(std::move(file));
    }
  }
};

LedgerCollector::LedgerCollector(net::Loop& loop, const Clock& clock,
                                 std::filesystem::path edge_socket, wire::LedgerFolders folders,
                                 RecordSink& sink, StoreProgress progress)
    : clock_(clock),
      edge_socket_(std::move(edge_socket)),
      folders_(std::move(folders)),
      sink_(sink),
      progress_(std::move(progress)),
      request_(loop),
      look_(loop),
      remove_(loop),
      timer_(loop, [this] { pulse(); }) {}

LedgerCollector::~LedgerCollector() = default;

void LedgerCollector::start() {
  timer_.start_repeating(kPeriodMs);
  look_for_files();
}

bool LedgerCollector::busy() const {
  if (request_.busy()) return true;
  return acknowledge_ > 0 && clock_.steady_us() - waiting_since_us_ < kPatienceUs;
}

void LedgerCollector::pulse() {
  if (acknowledge_ > 0 || files_ != nullptr) when_safe();
  if (clock_.steady_us() - asked_at_us_ >= kPeriodMs * 900) collect();
  if (looked_at_us_ == 0 || clock_.steady_us() - looked_at_us_ >= kLookPeriodUs) look_for_files();
}

// --- the edge that lives -----------------------------------------------------------------------

void LedgerCollector::collect() {
  if (!looked_ || request_.busy() || acknowledge_ > 0) return;
  asked_at_us_ = clock_.steady_us();
  request_.send(edge_socket_, wire::control_request("ledger"), kTimeoutMs, kMaxAnswer,
                [this](const Result<std::string>& answer) { on_answer(answer); });
}

void LedgerCollector::on_answer(const Result<std::string>& answer) {
  if (!answer) return;  // no edge, or not now: the ledger keeps them
  const auto fields = wire::ControlFields::parse(*answer);
  if (!fields) return;
  int64_t last = 0;
  for (const auto& [key, value] : fields->all()) {
    if (key != "entry") continue;
    wire::Miss miss = wire::Miss::unpack(value);
    const int64_t sequence = miss.sequence;
    if (!sink_.push(record_of(std::move(miss)))) break;
    last = std::max(last, sequence);
  }
  if (last == 0) return;
  acknowledge_ = last;
  offered_by_ = fields->number("pid").value_or(0);
  wait_for_store();
}

void LedgerCollector::wait_for_store() {
  safe_at_ = progress_.pushed();
  waiting_since_us_ = clock_.steady_us();
  timer_.start_repeating(kWaitingMs);
}

void LedgerCollector::when_safe() {
  if (progress_.safe() < safe_at_) return;
  if (acknowledge_ > 0 && !request_.busy()) {
    request_.send(
        edge_socket_,
        wire::control_request("ledger-ack", {std::to_string(std::exchange(acknowledge_, 0)),
                                             std::to_string(offered_by_)}),
        kTimeoutMs, kMaxAnswer, [](const Result<std::string>&) {});
  }
  if (files_ != nullptr && !remove_.busy()) {
    remove_.start<bool>(
        [files = std::exchange(files_, nullptr)] {
          for (wire::DeadLedger& file : files->files) file.remove();
          files->files.clear();
          return true;
        },
        [](bool) {});
  }
  if (acknowledge_ == 0 && files_ == nullptr) timer_.start_repeating(kPeriodMs);
}

// --- edges that are dead -------------------------------------------------------------------------

void LedgerCollector::look_for_files() {
  if (look_.busy() || remove_.busy() || files_ != nullptr) return;
  looked_at_us_ = clock_.steady_us();
  look_.start<std::shared_ptr<Files>>(
      [folders = folders_, now_us = clock_.wall_us()] {
        auto found = std::make_shared<Files>();
        // What an interceptor had under way first: the edge's word on it depends on that.
        found->take(folders, wire::LedgerKind::daemon, now_us);
        found->take(folders, wire::LedgerKind::edge, now_us);
        return found;
      },
      [this](std::shared_ptr<Files> files) { on_files(std::move(files)); });
}

void LedgerCollector::on_files(std::shared_ptr<Files> files) {
  const bool first = !std::exchange(looked_, true);
  if (files->files.empty()) return first ? collect() : void();
  int64_t calls = 0;
  for (MissRecord& miss : files->misses) {
    calls += miss.count;
    // Full: the files are let go, and taken again later; what is in already is told by its name.
    if (!sink_.push(std::move(miss))) return;
  }
  log::info("ledger.taken_over").with("files", files->files.size()).with("calls", calls);
  files->misses.clear();
  files_ = std::move(files);
  wait_for_store();
  if (first) collect();
}

}  // namespace hm::relay
