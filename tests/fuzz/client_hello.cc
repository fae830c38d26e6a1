// Arbitrary bytes towards the end that faces the client: no crash, and not one byte out before
// answer().
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "interceptor/tls/contexts.h"
#include "interceptor/tls/engine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using hm::tls::Engine;
  static const auto context = *hm::tls::ClientSideContext::create();
  const auto engine = Engine::towards_client(*context);
  hm::Bytes input(data, size);
  while (!input.empty()) {
    // The first byte of each round says how much comes at once.
    const size_t take = std::min<size_t>(input.size(), size_t{1} + input.front());
    if (!engine->feed(input.first(take))) break;
    input = input.subspan(take);
    const Engine::Handshake state = engine->handshake();
    if (!engine->outgoing().empty()) std::abort();
    if (state == Engine::Handshake::done) std::abort();
    if (state == Engine::Handshake::paused && engine->hello().shape.size() != 16) std::abort();
  }
  return 0;
}
