#include "interceptor/tls/bio.h"

#include <cstdint>
#include <memory>

namespace hm::tls {
namespace {

struct Queues {
  ByteQueue& incoming;
  ByteQueue& outgoing;
};

int queue_read(BIO* bio, char* out, int length) {
  BIO_clear_retry_flags(bio);
  auto* queues = static_cast<Queues*>(BIO_get_data(bio));
  if (length <= 0) return 0;
  const size_t got =
      queues->incoming.read(MutBytes(reinterpret_cast<uint8_t*>(out), static_cast<size_t>(length)));
  if (got == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  return static_cast<int>(got);
}

int queue_write(BIO* bio, const char* data, int length) {
  BIO_clear_retry_flags(bio);
  auto* queues = static_cast<Queues*>(BIO_get_data(bio));
  if (length <= 0) return 0;
  const Bytes bytes(reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(length));
  return queues->outgoing.append(bytes) ? length : -1;
}

long queue_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;  // everything written is already where it belongs
}

int queue_destroy(BIO* bio) {
  delete static_cast<Queues*>(BIO_get_data(bio));
  BIO_set_data(bio, nullptr);
  return 1;
}

BIO_METHOD* queue_method() {
  // Lives as long as the process: BIOs of all connections point to it.
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "byte queues");
    if (made == nullptr) return made;
    BIO_meth_set_read(made, queue_read);
    BIO_meth_set_write(made, queue_write);
    BIO_meth_set_ctrl(made, queue_control);
    BIO_meth_set_destroy(made, queue_destroy);
    return made;
  }();
  return method;
}

}  // namespace

bssl::UniquePtr<BIO> make_queue_bio(ByteQueue& incoming, ByteQueue& outgoing) {
  bssl::UniquePtr<BIO> bio(queue_method() == nullptr ? nullptr : BIO_new(queue_method()));
  if (bio == nullptr) return bio;
  BIO_set_data(bio.get(), std::make_unique<Queues>(incoming, outgoing).release());
  BIO_set_init(bio.get(), 1);
  return bio;
}

}  // namespace hm::tls
