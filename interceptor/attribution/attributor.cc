#include "interceptor/attribution/attributor.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/net/timer.h"
#include "interceptor/attribution/client_facts.h"
#include "interceptor/attribution/socket_owner.h"

namespace hm::attribution {
namespace {

// Nobody but the row waits for it, and on a busy machine the scan takes its time.
constexpr auto kBudget = std::chrono::milliseconds(1000);
constexpr int64_t kCacheLifeUs = 2'000'000;  // a branch may be changed under a running agent
constexpr size_t kCacheSize = 128;

// Working folders come without symbolic links; home has to look the same.
TagConfig with_real_home(TagConfig config) {
  std::error_code error;
  const auto home = std::filesystem::weakly_canonical(config.home, error);
  if (!error && !config.home.empty()) config.home = home;
  return config;
}

}  // namespace

// Used by several threads at once.
struct Attributor::Shared {
  struct Entry {
    int64_t pid = 0;
    uint64_t start_time = 0;
    int64_t found_at_us = 0;  // steady
    Attribution result;
  };

  explicit Shared(TagConfig with) : config(std::move(with)) {}

  [[nodiscard]] Attribution find(uint16_t client_port, uint16_t our_port) {
    const auto owner = owners.find(client_port, our_port, kBudget);
    if (owner)
      if (auto known = find_known(*owner)) return *known;
    const auto facts = owner ? read_client_facts(owner->pid) : std::nullopt;
    if (!facts || facts->start_time != owner->start_time) {
      counters::get("attribution.failed").add();
      return unknown_client(config);
    }
    const int64_t now = system_clock().steady_us();
    Entry fresh{facts->pid, facts->start_time, now, resolve(*facts, disk_view(), config)};
    log::info("attribution.resolved")
        .with("pid", fresh.pid)
        .with("project", fresh.result.project)
        .with("winning_layer", fresh.result.tier);
    const std::lock_guard lock(mutex);
    const auto evicted = [](const Entry& entry, const char* why) {
      log::info("attribution.evicted")
          .with("pid", entry.pid)
          .with("project", entry.result.project)
          .with("reason", why);
    };
    std::erase_if(cache, [&](const Entry& entry) {
      if (entry.pid == fresh.pid) return true;  // looked up anew just now
      if (now - entry.found_at_us < kCacheLifeUs) return false;
      evicted(entry, "old");
      return true;
    });
    if (cache.size() >= kCacheSize) {
      evicted(cache.front(), "full");
      cache.erase(cache.begin());
    }
    cache.push_back(fresh);
    return fresh.result;
  }

  // A process keeps the environment it was started with; where it works is all that it may change.
  [[nodiscard]] std::optional<Attribution> find_known(const Owner& owner) {
    const int64_t now = system_clock().steady_us();
    std::optional<Attribution> known;
    {
      const std::lock_guard lock(mutex);
      for (const Entry& entry : cache)
        if (entry.pid == owner.pid && entry.start_time == owner.start_time &&
            now - entry.found_at_us < kCacheLifeUs)
          known = entry.result;
    }
    if (known && known->cwd != working_folder(owner.pid)) known.reset();
    return known;
  }

  TagConfig config;  // not changed after construction
  SocketOwner owners;
  std::mutex mutex;
  std::vector<Entry> cache;  // GUARDED_BY(mutex), oldest first
};

Attributor::Attributor(net::Loop& loop, TagConfig config, Find find)
    : loop_(loop),
      find_(std::move(find)),
      shared_(std::make_shared<Shared>(with_real_home(std::move(config)))),
      threads_(std::make_shared<LookupThreads>(
          loop, [this](uint64_t id, Attribution* result) { on_found(id, result); })),
      timer_(std::make_unique<net::Timer>(loop, [this] { on_time(); })) {}

Attributor::~Attributor() {
  threads_->end();
}

void Attributor::set_default_project(std::string slug) {
  TagConfig config = shared_->config;
  if (config.default_project == slug) return;
  config.default_project = std::move(slug);
  shared_ = std::make_shared<Shared>(std::move(config));  // lookups under way end with the old one
}

void Attributor::look_up(uint16_t client_port, uint16_t our_port,
                         std::function<void(Attribution)> done) {
  if (lookups_.size() >= kMaxLookups) {
    counters::get("attribution.skipped").add();
    done(unknown_client(shared_->config));
    return;
  }
  const uint64_t id = next_id_++;
  lookups_.emplace(id, Lookup{loop_.now_us() + kLimitMs * 1000, std::move(done)});
  if (lookups_.size() == 1) timer_->start_once(kLimitMs);
  threads_->start(id, [shared = shared_, find = find_, client_port, our_port] {
    return find ? find(client_port, our_port) : shared->find(client_port, our_port);
  });
}

void Attributor::on_found(uint64_t id, Attribution* result) {
  const auto lookup = lookups_.find(id);
  if (lookup == lookups_.end()) return;  // too late
  finish(lookup, result != nullptr ? std::move(*result) : unknown_client(shared_->config));
}

void Attributor::on_time() {
  const std::weak_ptr<int> alive = alive_;  // a callback may end us
  while (!alive.expired() && !lookups_.empty() &&
         lookups_.begin()->second.until_us <= loop_.now_us()) {
    counters::get("attribution.late").add();
    log::warn("attribution.late").with("under_way", lookups_.size());
    threads_->forget(lookups_.begin()->first);
    finish(lookups_.begin(), unknown_client(shared_->config));
  }
  if (alive.expired() || lookups_.empty()) return;
  const int64_t left_us = lookups_.begin()->second.until_us - loop_.now_us();
  timer_->start_once(std::max<int64_t>(left_us / 1000 + 1, 1));
}

void Attributor::finish(std::map<uint64_t, Lookup>::iterator lookup, Attribution result) {
  const std::function<void(Attribution)> done = std::move(lookup->second.done);
  lookups_.erase(lookup);
  if (lookups_.empty()) timer_->stop();
  done(std::move(result));
}

}  // namespace hm::attribution
