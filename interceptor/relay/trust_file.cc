#include "interceptor/relay/trust_file.h"

#include <utility>

#include "common/base/fs.h"
#include "common/base/log.h"

namespace hm::relay {
namespace {

constexpr size_t kMaxFile = 1024 * 1024;

}  // namespace

TrustFile::TrustFile(net::Loop& loop, TrustMemory& memory, std::filesystem::path file)
    : memory_(memory), file_(std::move(file)), work_(loop) {
  memory_.on_change([this] { write(); });
}

TrustFile::~TrustFile() {
  memory_.on_change([] {});
}

void TrustFile::load() {
  const auto text = read_file(file_, kMaxFile);
  if (text) memory_.load(*text);
}

void TrustFile::write() {
  again_ = !work_.start<Result<void>>(
      [file = file_, text = memory_.save()] { return replace_file(file, text); },
      [this](const Result<void>& written) {
        if (!written)
          log::warn("relay.trust_file").with("file", file_.string()).with(written.error());
        if (again_) write();
      });
}

}  // namespace hm::relay
