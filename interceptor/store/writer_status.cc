#include "interceptor/store/writer_status.h"

namespace hm::store {

StoreState state_for(Code code) {
  switch (code) {
    case Code::busy:
      return StoreState::locked;
    case Code::exhausted:
      return StoreState::disk_full;
    case Code::permission:
      return StoreState::unwritable;
    case Code::malformed:
      return StoreState::damaged;
    default:
      return StoreState::failing;
  }
}

const char* words_for(StoreState state) {
  switch (state) {
    case StoreState::well:
      return "";
    case StoreState::locked:
      return "another program holds the database; rows wait until it lets go";
    case StoreState::disk_full:
      return "the disk is full; rows wait until there is room";
    case StoreState::unwritable:
      return "the database cannot be written; check its owner, mode and folder";
    case StoreState::damaged:
      return "the database is damaged and will be moved aside";
    case StoreState::slow:
      return "the disk takes long; rows wait until it has caught up";
    case StoreState::failing:
      return "rows wait";
  }
  return "";
}

const char* name_of(StoreState state) {
  switch (state) {
    case StoreState::well:
      return "well";
    case StoreState::locked:
      return "locked";
    case StoreState::disk_full:
      return "disk_full";
    case StoreState::unwritable:
      return "unwritable";
    case StoreState::damaged:
      return "damaged";
    case StoreState::slow:
      return "slow";
    case StoreState::failing:
      return "failing";
  }
  return "";
}

std::string WriterStatus::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

std::string WriterStatus::spool_error() const {
  const std::lock_guard lock(mutex_);
  return spool_error_;
}

std::string WriterStatus::notice() const {
  const std::lock_guard lock(mutex_);
  return notice_;
}

}  // namespace hm::store
