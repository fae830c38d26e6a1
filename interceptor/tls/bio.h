// BoringSSL's transport: a BIO that reads one ByteQueue and writes another. No socket, no copy
// beyond the queue's own. Private to this folder.
//
// An empty input queue means "retry later", never end of file: the TCP stream's end is known to the
// session, and a missing close_notify must stay one (RFC 8446 6.1).
#pragma once

#include <openssl/bio.h>

#include "common/base/byte_queue.h"

namespace hm::tls {

// Both queues must outlive the BIO. Null when out of memory.
[[nodiscard]] bssl::UniquePtr<BIO> make_queue_bio(ByteQueue& incoming, ByteQueue& outgoing);

}  // namespace hm::tls
