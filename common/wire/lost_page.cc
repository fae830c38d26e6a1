#include "common/wire/lost_page.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

namespace hm::wire {
namespace {

std::atomic<char*> watched{nullptr};
std::atomic<size_t> watched_bytes{0};

void on_lost_page(int, siginfo_t* info, void*) {
  char* const base = watched.load();
  char* const at = static_cast<char*>(info->si_addr);
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  if (base != nullptr && at >= base && at < base + watched_bytes.load()) {
    char* const begin = base + (static_cast<size_t>(at - base) & ~(page - 1));
    if (::mmap(begin, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) != MAP_FAILED)
      return;
  }
  std::signal(SIGBUS, SIG_DFL);  // not ours: it happens again, and ends the process
}

}  // namespace

void watch_pages(void* base, size_t bytes) {
  struct sigaction action{};
  action.sa_sigaction = on_lost_page;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigaction(SIGBUS, &action, nullptr);
  watched_bytes.store(bytes);
  watched.store(static_cast<char*>(base));
}

void unwatch_pages(const void* base) {
  if (watched.load() == base) watched.store(nullptr);
}

}  // namespace hm::wire
