// Whatever a control socket says is parsed or refused, and what was parsed can be written again.
#include "common/wire/control_message.h"

#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto request = hm::wire::parse_control_request(text)) {
    const auto line = hm::wire::control_request(request->verb, request->arguments);
    const auto again = hm::wire::parse_control_request(line);
    if (!again || again->verb != request->verb || again->arguments != request->arguments) abort();
  }
  if (const auto fields = hm::wire::ControlFields::parse(text)) {
    hm::wire::ControlAnswer answer;
    for (const auto& [key, value] : fields->all()) answer.add(key, value);
    const auto again = hm::wire::ControlFields::parse(answer.text());
    if (!again || again->all().size() != fields->all().size() + 1) abort();
    for (size_t i = 0; i < fields->all().size(); ++i)
      if (again->all()[i + 1].second != fields->all()[i].second) abort();
  }
  const auto packed = hm::wire::pack_fields({{"k", std::string(text)}});
  const auto unpacked = hm::wire::unpack_fields(packed);
  if (unpacked.size() != 1 || unpacked[0].second != text) abort();
  static_cast<void>(hm::wire::unpack_fields(text));
  return 0;
}
