#include "cli/store_words.h"

#include <array>
#include <filesystem>
#include <string_view>

#include "cli/period.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

struct Illness {
  std::string_view name;   // as the daemon says it
  std::string_view words;  // as we do
  std::string_view next;   // {db} and {dir} stand for the paths
};

constexpr std::array kIllnesses = {
    Illness{"locked", "locked",
            "Another program holds the database, and rows are written when it lets go. Who it is: "
            "fuser -v {db}"},
    Illness{"disk_full", "disk full",
            "The disk of the database is full; rows are written by themselves once there is room. "
            "What fills it: df -h {dir}; du -sh {dir}/*"},
    Illness{"unwritable", "not writable",
            "The database cannot be written; rows are written by themselves once it can. Look at "
            "owner and mode: ls -ld {dir} {db}"},
    Illness{"damaged", "damaged",
            "The database is damaged; it is moved aside and a new one is begun. If this stays: ls "
            "-la {dir}"},
    Illness{"slow", "slow",
            "The disk takes long to write; rows are kept in the spool and follow. What is busy: "
            "iostat -x 1"},
    Illness{"failing", "failing",
            "Writing the database fails; rows wait. Why: tail {dir}/daemon.err.log"},
};

std::string with_paths(std::string_view text, const std::filesystem::path& database) {
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("{db}")) {
      out += database.string();
      text.remove_prefix(4);
    } else if (text.starts_with("{dir}")) {
      out += database.parent_path().string();
      text.remove_prefix(5);
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string rows(int64_t count) {
  return thousands(count) + (count == 1 ? " row" : " rows");
}

}  // namespace

StoreWords store_words(const StatusAnswer& daemon, const std::string& database) {
  StoreWords words;
  const int64_t waiting = daemon.number("store.queue").value_or(0);
  const int64_t in_memory = daemon.number("store.in_memory").value_or(waiting);
  const auto add = [&words](const std::string& part) {
    words.detail += (words.detail.empty() ? "" : ", ") + part;
  };
  if (daemon.number("store.healthy") == 0) {
    words.state = "failing";
    for (const Illness& illness : kIllnesses) {
      if (illness.name != daemon.text("store.state")) continue;
      words.state = illness.words;
      words.hints.push_back(with_paths(illness.next, database));
    }
    if (const int64_t since = daemon.number("store.ill_since_us").value_or(0); since > 0)
      add("since " + local_time(since));
    if (words.hints.empty() || words.state == "failing") add(printable(daemon.text("store.error")));
  }
  if (waiting > in_memory) add(rows(waiting - in_memory) + " in the spool");
  if (in_memory > 0) add(rows(in_memory) + (words.state.empty() ? " waiting" : " in memory"));
  const auto dropped = [&](const char* key, const char* what) {
    const int64_t count = daemon.number(key).value_or(0);
    if (count > 0) add(rows(count) + what);
  };
  dropped("store.dropped", " dropped");
  dropped("store.rejected", " rejected");
  if (!daemon.text("store.spool_error").empty())
    words.hints.push_back("The spool takes no rows (" +
                          printable(daemon.text("store.spool_error")) +
                          "): rows that wait are lost if the daemon is killed. Look at: ls -ld " +
                          (std::filesystem::path(database).parent_path() / "spool").string());
  if (const auto notice = daemon.text("store.notice"); !notice.empty())
    words.hints.push_back("Database: " + printable(notice) +
                          ". To read the old one: sqlite3 FILE .recover");
  return words;
}

}  // namespace hm::cli
