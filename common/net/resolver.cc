#include "common/net/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <mutex>
#include <thread>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/net/uv_handle.h"

namespace hm::net {

// What a look-up's thread holds on to. It outlives the resolver for as long as a thread hangs.
struct Resolver::Shared {
  struct Done {
    Key key;
    Result<Addresses> result;
  };

  std::mutex mutex;
  Loop* loop = nullptr;       // guarded by mutex; null: nobody is interested any more
  std::vector<Done> done;     // guarded by mutex
  Resolver* asker = nullptr;  // the loop's thread only

  static void run(const std::shared_ptr<Shared>& self, const Lookup& lookup, Key key) {
    Result<Addresses> result = fail(Code::internal, "dialer.resolve");
    try {
      result = lookup(key.first, key.second);
    } catch (...) {  // out of memory; the answer above stands
    }
    const std::lock_guard lock(self->mutex);
    if (self->loop == nullptr) return;
    self->done.push_back({std::move(key), std::move(result)});
    self->loop->post([self] {
      if (self->asker != nullptr) self->asker->collect();
    });
  }
};

Resolver::Resolver(Loop& loop)
    : loop_(loop), lookup_(system_lookup), shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
  shared_->asker = this;
}

Resolver::~Resolver() {
  shared_->asker = nullptr;
  const std::lock_guard lock(shared_->mutex);
  shared_->loop = nullptr;
}

// --- questions ---------------------------------------------------------------------------------

Resolver::Question::Question(Resolver& resolver, Loop& loop, std::string host, Callback callback)
    : resolver_(resolver),
      host_(std::move(host)),
      callback_(std::move(callback)),
      silence_(loop, [this] { on_silence(); }) {
  silence_.start_once(kStaleAfterMs);
}

Resolver::Question::~Question() {
  resolver_.questions_.erase(id_);
}

void Resolver::Question::on_family(int family, const Result<Addresses>& result) {
  Answer answer;
  answer.family = family;
  if (result) {
    answer.addresses = *result;
    found_ = true;
  } else if (error_.code == Code::not_found) {
    error_ = result.error();  // the other family's failure may be worth another look
  }
  answer.last = --pending_ == 0;
  answer.error = error_;
  if (answer.last) silence_.stop();
  if (answer.last && !found_ && error_.code != Code::not_found) {
    answer.family = 0;
    answer.addresses = resolver_.recall(host_);
  }
  if (answer.addresses.empty() && !answer.last) return;
  const Callback tell = callback_;  // this object may be gone before it returns
  tell(answer);
}

void Resolver::Question::on_silence() {
  if (found_) return;
  Answer answer;
  answer.addresses = resolver_.recall(host_);
  if (answer.addresses.empty()) return;
  const Callback tell = callback_;
  tell(answer);
}

std::unique_ptr<Resolver::Question> Resolver::ask(std::string host, Callback callback) {
  static Counter& asked = counters::get("dns.asked");
  asked.add();
  std::unique_ptr<Question> question(
      new Question(*this, loop_, std::move(host), std::move(callback)));
  question->id_ = next_id_++;
  questions_.emplace(question->id_, question.get());
  for (const int family : {AF_INET6, AF_INET}) {
    const Key key{question->host_, family};
    Name& name = names_[key];
    name.askers.push_back(question->id_);
    const bool silent = loop_.now_us() - name.started_us > kAskAgainUs;
    if (name.threads == 0 || (silent && name.threads < kMaxThreadsPerKey)) look_up(key);
  }
  return question;
}

// --- look-ups ----------------------------------------------------------------------------------

void Resolver::look_up(const Key& key) {
  Name& name = names_[key];
  if (threads_ >= kMaxThreads) {
    static Counter& waited = counters::get("dns.waited_for_thread");
    waited.add();
    if (!std::exchange(name.waiting, true)) waiting_.push_back(key);
    return;
  }
  name.waiting = false;
  name.started_us = loop_.now_us();
  ++name.threads;
  ++threads_;
  try {
    std::thread([shared = shared_, lookup = lookup_, key] {
      Shared::run(shared, lookup, key);
    }).detach();
  } catch (...) {  // no thread to be had: answered as a failure, from the loop
    const std::lock_guard lock(shared_->mutex);
    shared_->done.push_back({key, fail(Code::exhausted, "dialer.resolve")});
    loop_.post([shared = shared_] {
      if (shared->asker != nullptr) shared->asker->collect();
    });
  }
}

void Resolver::start_waiting() {
  while (!waiting_.empty() && threads_ < kMaxThreads) {
    const Key key = std::move(waiting_.front());
    waiting_.pop_front();
    const auto name = names_.find(key);
    if (name == names_.end()) continue;
    name->second.waiting = false;
    const bool wanted = std::ranges::any_of(
        name->second.askers, [this](uint64_t id) { return questions_.contains(id); });
    if (wanted) {
      look_up(key);
    } else if (name->second.threads == 0) {
      names_.erase(name);
    }
  }
}

void Resolver::collect() {
  std::vector<Shared::Done> done;
  {
    const std::lock_guard lock(shared_->mutex);
    done.swap(shared_->done);
  }
  for (const Shared::Done& one : done) finish(one.key, one.result);
  start_waiting();
}

void Resolver::finish(const Key& key, const Result<Addresses>& result) {
  --threads_;
  const auto found = names_.find(key);
  if (found == names_.end()) return;
  Name& name = found->second;
  --name.threads;
  remember(key, result);
  // A second look-up is under way: its answer may be better than this failure.
  if (!result && name.threads > 0) return;
  const std::vector<uint64_t> askers = std::exchange(name.askers, {});
  if (name.threads == 0 && !name.waiting) names_.erase(found);
  for (const uint64_t id : askers) {
    // Each of them may end another, or ask anew.
    if (const auto question = questions_.find(id); question != questions_.end())
      question->second->on_family(key.second, result);
  }
}

// --- memory ------------------------------------------------------------------------------------

void Resolver::remember(const Key& key, const Result<Addresses>& result) {
  if (result) {
    memory_[key] = {*result, loop_.now_us()};
  } else if (result.error().code == Code::not_found) {
    memory_.erase(key);
  }
  if (memory_.size() <= kMaxRemembered) return;
  memory_.erase(
      std::ranges::min_element(memory_, {}, [](const auto& entry) { return entry.second.at_us; }));
}

Resolver::Addresses Resolver::recall(const std::string& host) const {
  static Counter& recalled = counters::get("dns.used_remembered");
  Addresses all;
  for (const int family : {AF_INET6, AF_INET}) {
    const auto found = memory_.find({host, family});
    if (found == memory_.end() || loop_.now_us() - found->second.at_us > kStaleForUs) continue;
    all.insert(all.end(), found->second.addresses.begin(), found->second.addresses.end());
  }
  if (!all.empty()) {
    recalled.add();
    log::info("dialer.remembered_addresses").with("host", host);
  }
  return all;
}

// --- the system --------------------------------------------------------------------------------

Result<Resolver::Addresses> system_lookup(const std::string& host, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  const bool ascii =
      std::ranges::all_of(host, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii) hints.ai_flags = AI_IDN;
  addrinfo* list = nullptr;
  errno = 0;
  const int status = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  const int system_error = errno;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, freeaddrinfo);
  if (status == EAI_NONAME || status == EAI_NODATA || status == EAI_ADDRFAMILY)
    return fail(Code::not_found, "dialer.resolve");
  if (status == EAI_MEMORY) return fail(Code::exhausted, "dialer.resolve", ENOMEM);
  if (status == EAI_SYSTEM) return fail_with(system_error, "dialer.resolve");
  if (status != 0) return fail(Code::timeout, "dialer.resolve");  // EAI_AGAIN, EAI_FAIL
  Resolver::Addresses addresses;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    if (at->ai_family != family || addresses.size() == Resolver::kMaxAddresses) continue;
    SocketAddress& address = addresses.emplace_back();
    std::copy_n(reinterpret_cast<const char*>(at->ai_addr), at->ai_addrlen,
                reinterpret_cast<char*>(&address.storage));
  }
  if (addresses.empty()) return fail(Code::not_found, "dialer.resolve");
  return addresses;
}

Resolver& resolver_of(Loop& loop) {
  auto& resolver = shared_of(loop.raw()).resolver;
  if (resolver == nullptr) resolver = std::make_shared<Resolver>(loop);
  return *resolver;
}

}  // namespace hm::net
