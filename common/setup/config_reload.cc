#include "common/setup/config_reload.h"

#include "common/base/log.h"
#include "common/config/last_good.h"
#include "common/setup/process.h"

namespace hm::setup {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

}  // namespace

ConfigReload::ConfigReload(net::Loop& loop, std::filesystem::path file, config::Loaded& in_force,
                           Apply apply)
    : work_(loop), file_(std::move(file)), in_force_(in_force), apply_(std::move(apply)) {}

int64_t ConfigReload::begin() {
  const int64_t number = ++asked_;  // read() may finish with it at once
  if (!busy_) read();
  return number;
}

void ConfigReload::read() {
  busy_ = true;
  reading_ = asked_;
  const bool started = work_.start<config::Loaded>(
      [file = file_] {
        config::Loaded fresh = config::load(file);
        if (fresh.faults.empty()) config::remember(file);
        return fresh;
      },
      [this](config::Loaded fresh) { take(std::move(fresh)); });
  if (started) return;
  faults_ = {file_.string() + " cannot be read just now"};
  finish({});
}

void ConfigReload::take(config::Loaded fresh) {
  changed_.clear();
  faults_ = std::move(fresh.faults);
  if (!faults_.empty()) {
    for (const std::string& fault : faults_) log::warn("config.kept").with("text", fault);
    return finish({});
  }
  needs_restart_.clear();
  for (const config::KeyInfo* key : config::differences(in_force_.config, fresh.config))
    (key->needs_restart ? needs_restart_ : changed_).emplace_back(key->name);
  fresh.config.daemon = in_force_.config.daemon;  // the ports that this process has
  in_force_.config = std::move(fresh.config);
  in_force_.warnings = std::move(fresh.warnings);
  set_log(in_force_.config);
  for (const std::string& warning : in_force_.warnings)
    log::warn("config.warning").with("text", warning);
  apply_(changed_, [this](std::vector<std::string> notes) { finish(std::move(notes)); });
}

void ConfigReload::finish(std::vector<std::string> notes) {
  notes_ = std::move(notes);
  if (faults_.empty())
    log::info("config.reloaded")
        .with("changed", joined(changed_))
        .with("needs_restart", joined(needs_restart_));
  done_ = reading_;
  busy_ = false;
  if (asked_ > done_) read();
}

std::vector<std::pair<std::string_view, std::string>> ConfigReload::outcome() const {
  std::vector<std::pair<std::string_view, std::string>> fields{{"done", std::to_string(done_)}};
  for (const std::string& key : changed_) fields.emplace_back("changed", key);
  for (const std::string& key : needs_restart_) fields.emplace_back("restart", key);
  for (const std::string& fault : faults_) fields.emplace_back("fault", fault);
  for (const std::string& note : notes_) fields.emplace_back("note", note);
  return fields;
}

std::vector<std::string> ConfigReload::left_open() const {
  std::vector<std::string> sentences;
  sentences.reserve(faults_.size() + needs_restart_.size() + notes_.size());
  for (const std::string& fault : faults_)
    sentences.push_back(fault +
                        "; nothing of the file was taken up. Mend it, then halton-meter reload");
  for (const std::string& key : needs_restart_)
    sentences.push_back(key + " was changed: it takes effect with halton-meter restart");
  sentences.insert(sentences.end(), notes_.begin(), notes_.end());
  return sentences;
}

}  // namespace hm::setup
