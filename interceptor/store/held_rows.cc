#include "interceptor/store/held_rows.h"

#include <utility>

namespace hm::store {

void HeldRows::add(QueuedRows rows, int64_t accepted) {
  if (rows.rows() == 0) return;
  rows_ += rows.rows();
  unsaved_ += accepted;
  batches_.push_back({std::make_shared<const QueuedRows>(std::move(rows)), accepted, nullptr, 0});
}

std::vector<HeldRows::Rows> HeldRows::give(size_t most) {
  std::vector<Rows> given;
  size_t rows = 0;
  for (const Batch& batch : batches_) {
    if (!given.empty() && rows + batch.rows->rows() > most) break;
    rows += batch.rows->rows();
    given.push_back(batch.rows);
  }
  under_way_ = given.size();
  return given;
}

int64_t HeldRows::committed() {
  int64_t count = 0;
  for (; under_way_ > 0; --under_way_) {
    const Batch& batch = batches_.front();
    if (batch.spool != nullptr) {
      batch.spool->advance(batch.spool_end, batch.rows->rows());
      --saved_;
    } else {
      unsaved_ -= batch.accepted;
    }
    count += batch.accepted;
    rows_ -= batch.rows->rows();
    batches_.pop_front();
  }
  return count;
}

const QueuedRows* HeldRows::unsaved() const {
  return saved_ < batches_.size() ? batches_[saved_].rows.get() : nullptr;
}

int64_t HeldRows::saved_in(const std::shared_ptr<Spool>& spool) {
  Batch& batch = batches_[saved_++];
  batch.spool = spool;
  batch.spool_end = spool->end();
  unsaved_ -= batch.accepted;
  return batch.accepted;
}

int64_t HeldRows::leave_to_spool() {
  int64_t count = 0;
  for (; saved_ > under_way_; --saved_) {
    const auto batch = batches_.begin() + static_cast<std::ptrdiff_t>(under_way_);
    count += batch->accepted;
    rows_ -= batch->rows->rows();
    batches_.erase(batch);
  }
  return count;
}

int64_t HeldRows::lose() {
  int64_t count = 0;
  for (; batches_.size() > saved_; batches_.pop_back()) {
    count += static_cast<int64_t>(batches_.back().rows->rows());
    rows_ -= batches_.back().rows->rows();
  }
  unsaved_ = 0;
  under_way_ = 0;
  return count;
}

}  // namespace hm::store
