#include "common/setup/ledger_keeper.h"

#include <mutex>
#include <utility>

#include "common/base/log.h"
#include "common/wire/ledger_copy.h"

namespace hm::setup {

// Used by one pool thread at a time, and at the end by the loop's.
struct LedgerKeeper::Copying {
  explicit Copying(wire::LedgerCopy with) : copy(std::move(with)) {}

  Result<void> update() {
    const std::lock_guard lock(mutex);
    if (over) return {};
    return copy.update();
  }
  void end(bool needed) {
    const std::lock_guard lock(mutex);
    if (needed) static_cast<void>(copy.update());
    if (!needed) copy.remove();
    over = true;
  }

  std::mutex mutex;
  wire::LedgerCopy copy;  // GUARDED_BY(mutex)
  bool over = false;      // GUARDED_BY(mutex)
};

LedgerKeeper::LedgerKeeper(net::Loop& loop, Home home, RunPlace place, wire::LedgerKind kind,
                           wire::MissFile& file)
    : home_(std::move(home)), place_(std::move(place)), kind_(kind), file_(file), work_(loop) {}

LedgerKeeper::~LedgerKeeper() = default;

void LedgerKeeper::pulse() {
  if (work_.busy()) return;
  if (!file_.sound()) return make();
  copy();
}

void LedgerKeeper::make() {
  work_.start<Result<wire::MissFile>>(
      [home = home_, place = place_, kind = kind_] {
        return wire::MissFile::make(wire::ledger_folders(home, place), kind);
      },
      [this](Result<wire::MissFile> file) {
        if (!file || !file->survives()) return copy();  // no place in memory: the copy must do
        file_.move_to(std::move(*file));
        log::info("ledger.kept");
        // The former copy goes with the next one, which holds the same.
        if (copying_ != nullptr) {
          work_.start<bool>(
              [former = std::exchange(copying_, nullptr)] {
                former->end(false);
                return true;
              },
              [](bool) {});
        }
      });
}

void LedgerKeeper::make_copying() {
  const auto path =
      file_.copy().empty() ? home_.root() / wire::MissFile::fresh_name(kind_) : file_.copy();
  copying_ = std::make_shared<Copying>(wire::LedgerCopy(file_.contents(), path));
}

void LedgerKeeper::copy() {
  if (file_.changes() == copied_ || work_.busy()) return;
  if (copying_ == nullptr) make_copying();
  work_.start<Result<void>>(
      [copying = copying_] { return copying->update(); },
      [this, changes = file_.changes()](const Result<void>& done) {
        if (done) {
          copied_ = changes;
          told_ = false;
        } else if (!std::exchange(told_, true)) {
          log::warn("ledger.not_copied")
              .with("folder", home_.root().string())
              .with(done.error())
              .with("text", "what went unmetered is kept in memory alone, and tried again");
        }
      });
}

void LedgerKeeper::close(bool needed) {
  work_.cancel();  // one that is under way goes on; end() waits for it
  if (needed && copying_ == nullptr && file_.changes() != copied_) make_copying();
  if (copying_ != nullptr) copying_->end(needed);
  if (!needed) file_.remove();
}

}  // namespace hm::setup
