#include "interceptor/attribution/attributor.h"

#include <chrono>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/net/work.h"
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

// Used by several pool threads at once.
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
    const auto facts = owner ? read_client_facts(owner->pid) : std::nullopt;
    if (!facts || facts->start_time != owner->start_time) {
      counters::get("attribution.failed").add();
      return unknown_client(config);
    }
    const int64_t now = system_clock().steady_us();
    {
      const std::lock_guard lock(mutex);
      for (const Entry& entry : cache)
        if (entry.pid == facts->pid && entry.start_time == facts->start_time &&
            entry.result.cwd == facts->cwd && now - entry.found_at_us < kCacheLifeUs)
          return entry.result;
    }
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

  TagConfig config;  // not changed after construction
  SocketOwner owners;
  std::mutex mutex;
  std::vector<Entry> cache;  // GUARDED_BY(mutex), oldest first
};

struct Attributor::Lookup {
  Lookup(net::Loop& loop, std::function<void(Attribution)> callback)
      : work(loop), done(std::move(callback)) {}
  net::Work work;
  std::function<void(Attribution)> done;
};

Attributor::Attributor(net::Loop& loop, TagConfig config)
    : loop_(loop), shared_(std::make_shared<Shared>(with_real_home(std::move(config)))) {}

Attributor::~Attributor() = default;

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
  lookups_.push_back(std::make_unique<Lookup>(loop_, std::move(done)));
  const auto lookup = std::prev(lookups_.end());
  const bool started = (*lookup)->work.start<Attribution>(
      [shared = shared_, client_port, our_port] { return shared->find(client_port, our_port); },
      [this, lookup](Attribution result) { finish(lookup, std::move(result)); });
  if (!started) {
    counters::get("attribution.skipped").add();
    finish(lookup, unknown_client(shared_->config));
  }
}

void Attributor::finish(std::list<std::unique_ptr<Lookup>>::iterator lookup, Attribution result) {
  std::unique_ptr<Lookup> ended = std::move(*lookup);
  lookups_.erase(lookup);
  const std::function<void(Attribution)> done = std::move(ended->done);
  loop_.bury(std::move(ended));  // its Work may still be on the stack
  done(std::move(result));
}

}  // namespace hm::attribution
