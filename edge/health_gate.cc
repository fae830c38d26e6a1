#include "edge/health_gate.h"

namespace hm::edge {

bool HealthGate::on_knock(Knock knock) {
  decided_ = true;
  switch (knock) {
    case Knock::good:
      silent_ = 0;
      ++good_;
      return (!ever_open_ || good_ >= kGoodToOpen) && set(true);
    case Knock::full:  // every call is told the same, at no cost
      silent_ = 0;
      good_ = 0;
      return false;
    case Knock::silent:
      good_ = 0;
      ++silent_;
      return silent_ >= kSilentToClose && set(false);
    case Knock::refused:
      return on_ask_failed();
  }
  return false;
}

bool HealthGate::on_ask_failed() {
  decided_ = true;
  good_ = 0;
  return set(false);
}

bool HealthGate::set(bool open) {
  if (open_ == open) return false;
  open_ = open;
  ever_open_ = ever_open_ || open;
  silent_ = 0;
  return true;
}

}  // namespace hm::edge
