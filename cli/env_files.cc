#include "cli/env_files.h"

#include <array>
#include <span>

namespace hm::cli {
namespace {

constexpr std::array kProxyNames = {"HTTPS_PROXY", "https_proxy"};
constexpr std::array kNoProxyNames = {"NO_PROXY", "no_proxy"};
constexpr std::array kBundleNames = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                                     "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"};
constexpr std::array kCaNames = {"NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE"};
constexpr const char* kLoopback = "localhost,127.0.0.1,::1";

// The body of env.sh; @NAME@ is filled in. bash, zsh and dash; nothing here forks.
constexpr std::string_view kPosix =
    R"sh(# Written by halton-meter init. Sourced by bash, zsh and sh; starts no process.
_halton_meter_env() {
  # Inside `halton-meter run` its own pair is in charge.
  [ -z "${HALTON_METER_RUN_DIR-}" ] || return 0
  # zsh does not understand every quoted path inside a pattern.
  local key value rest port= pid= name= now list python=@PYTHON@
  if [ -r @PORTS@ ]; then
    while read -r key value rest; do
      case $key in
        '"edge_port":') port=${value%,} ;;
        '"edge_pid":') pid=${value%,} ;;
      esac
    done <@PORTS@
  fi
  case $port in '' | *[!0-9]*) port=0 ;; esac
  # An edge that ends takes its pid out of the file; one that has crashed is no process any more, and
  # what has its port by now is none of ours. (The kernel keeps fifteen letters of a name.)
  case $pid in '' | *[!0-9]*) ;; *) [ -r "/proc/$pid/comm" ] && read -r name <"/proc/$pid/comm" ;; esac
  [ "$name" = halton-meter-ed ] || port=0
  now=${https_proxy:-${HTTPS_PROXY:-}}
  if [ "$port" = 0 ]; then
    # Nobody there: what an earlier shell or the session had set goes.
    if [ -n "${HALTON_METER_ENV_PORT-}" ]; then
      if [ "$now" = "http://127.0.0.1:$HALTON_METER_ENV_PORT" ]; then
        unset HTTPS_PROXY https_proxy
        if [ -n @UPSTREAM@ ]; then export HTTPS_PROXY=@UPSTREAM@ https_proxy=@UPSTREAM@; fi
      fi
      [ "${NO_PROXY-}" = @LOOPBACK@ ] && unset NO_PROXY
      [ "${no_proxy-}" = @LOOPBACK@ ] && unset no_proxy
@UNSET@      case ${PYTHONPATH-} in
        "$python") unset PYTHONPATH ;;
        "$python":*) export PYTHONPATH="${PYTHONPATH#"$python":}" ;;
      esac
      unset NODE_USE_ENV_PROXY HALTON_METER_ENV_PORT
    fi
    return 0
  fi
  # A proxy that our upstream does not know is not taken away from anybody.
  case $now in
    '' | @UPSTREAM@ | @UPSTREAM@/ | @PLAIN_UPSTREAM@ | "http://127.0.0.1:${HALTON_METER_ENV_PORT:-$port}") ;;
    *) return 0 ;;
  esac
  export HTTPS_PROXY="http://127.0.0.1:$port" https_proxy="http://127.0.0.1:$port"
  for key in localhost 127.0.0.1 ::1; do
    list=${NO_PROXY:-${no_proxy:-}}
    case ",$list," in
      *",$key,"* | ,\*,) export NO_PROXY="$list" no_proxy="$list" ;;
      *) export NO_PROXY="${list:+$list,}$key" no_proxy="${list:+$list,}$key" ;;
    esac
  done
@SET@  case ":${PYTHONPATH-}:" in
    *:"$python":*) ;;
    *) export PYTHONPATH="$python${PYTHONPATH:+:$PYTHONPATH}" ;;
  esac
  export NODE_USE_ENV_PROXY=1 HALTON_METER_ENV_PORT="$port"
}
_halton_meter_env
unset -f _halton_meter_env
)sh";

constexpr std::string_view kFish =
    R"fish(# Written by halton-meter init. Sourced by fish; starts no process.
function _halton_meter_env
    # Inside `halton-meter run` its own pair is in charge.
    set -q HALTON_METER_RUN_DIR; and return 0
    set -l port 0
    set -l name ''
    if test -r @PORTS@
        while read -l line
            set -l found (string match -r '"edge_port": *([0-9]+)' -- $line)
            and set port $found[2]
            set found (string match -r '"edge_pid": *([0-9]+)' -- $line)
            and test -r /proc/$found[2]/comm
            and read name </proc/$found[2]/comm
        end <@PORTS@
    end
    # An edge that ends takes its pid out of the file; one that has crashed is no process any more,
    # and what has its port by now is none of ours. (The kernel keeps fifteen letters of a name.)
    test "$name" = halton-meter-ed; or set port 0
    set -l now $https_proxy
    test -n "$now"; or set now $HTTPS_PROXY
    if test $port = 0
        if set -q HALTON_METER_ENV_PORT
            if test "$now" = "http://127.0.0.1:$HALTON_METER_ENV_PORT"
                set -e HTTPS_PROXY
                set -e https_proxy
                if test -n @UPSTREAM@
                    set -gx HTTPS_PROXY @UPSTREAM@
                    set -gx https_proxy @UPSTREAM@
                end
            end
            test "$NO_PROXY" = @LOOPBACK@; and set -e NO_PROXY
            test "$no_proxy" = @LOOPBACK@; and set -e no_proxy
@UNSET@            set -l paths
            for folder in (string split : -- "$PYTHONPATH")
                test "$folder" = @PYTHON@; or set -a paths $folder
            end
            if test -n "$paths"
                set -gx PYTHONPATH (string join : -- $paths)
            else
                set -e PYTHONPATH
            end
            set -e NODE_USE_ENV_PROXY
            set -e HALTON_METER_ENV_PORT
        end
        return 0
    end
    # A proxy that our upstream does not know is not taken away from anybody.
    set -l ours $port
    set -q HALTON_METER_ENV_PORT; and set ours $HALTON_METER_ENV_PORT
    if test -n "$now"
        contains -- "$now" @UPSTREAM@ @UPSTREAM@/ @PLAIN_UPSTREAM@ "http://127.0.0.1:$ours"
        or return 0
    end
    set -gx HTTPS_PROXY "http://127.0.0.1:$port"
    set -gx https_proxy "http://127.0.0.1:$port"
    set -l list $NO_PROXY
    test -n "$list"; or set list $no_proxy
    set -l entries (string split -n , -- "$list")
    if test "$entries" != '*'
        for name in localhost 127.0.0.1 ::1
            contains -- $name $entries; or set -a entries $name
        end
    end
    set -gx NO_PROXY (string join , -- $entries)
    set -gx no_proxy $NO_PROXY
@SET@    if not contains -- @PYTHON@ (string split : -- "$PYTHONPATH")
        if test -n "$PYTHONPATH"
            set -gx PYTHONPATH @PYTHON@:"$PYTHONPATH"
        else
            set -gx PYTHONPATH @PYTHON@
        end
    end
    set -gx NODE_USE_ENV_PROXY 1
    set -gx HALTON_METER_ENV_PORT $port
end
_halton_meter_env
functions -e _halton_meter_env
)fish";

const std::filesystem::path& added_roots(const EnvFilesPlan& plan) {
  return plan.places.own_roots ? plan.places.bundle : plan.places.ca_cert;
}

void fill(std::string& text, std::string_view name, std::string_view value) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
    text.replace(at, name.size(), value);
    at += value.size();
  }
}

std::string filled(std::string_view body, const EnvFilesPlan& plan, bool fish) {
  std::string set;
  std::string unset;
  const auto add = [&](const char* name, const std::filesystem::path& path) {
    const std::string value = shell_quoted(path.string(), fish);
    if (fish) {
      set += std::string("    set -gx ") + name + " " + value + "\n";
      unset += std::string("            test \"$") + name + "\" = " + value + "; and set -e " +
               name + "\n";
    } else {
      set += std::string("  export ") + name + "=" + value + "\n";
      unset +=
          std::string("      [ \"${") + name + "-}\" = " + value + " ] && unset " + name + "\n";
    }
  };
  for (const char* name : kBundleNames) add(name, plan.places.bundle);
  for (const char* name : kCaNames) add(name, added_roots(plan));
  std::string text(body);
  fill(text, "@SET@", set);
  fill(text, "@UNSET@", unset);
  fill(text, "@PORTS@", shell_quoted(plan.ports_file.string(), fish));
  fill(text, "@PYTHON@", shell_quoted(plan.places.python_dir.string(), fish));
  fill(text, "@LOOPBACK@", kLoopback);
  fill(text, "@UPSTREAM@", shell_quoted(plan.upstream, fish));
  // As many write it, and as it was taken over from: proxy.corp:3128.
  constexpr std::string_view kScheme = "http://";
  const std::string_view upstream = plan.upstream;
  fill(text, "@PLAIN_UPSTREAM@",
       shell_quoted(upstream.starts_with(kScheme) ? upstream.substr(kScheme.size()) : upstream,
                    fish));
  return text;
}

}  // namespace

std::string shell_quoted(std::string_view text, bool fish) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:,@";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(text);
  std::string out = "'";
  for (const char c : text) {
    if (fish && (c == '\\' || c == '\'')) {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\'') {
      out += "'\\''";
    } else {
      out.push_back(c);
    }
  }
  return out + "'";
}

std::string env_variable_names() {
  std::string names;
  for (const auto& group :
       {std::span<const char* const>(kProxyNames), {kNoProxyNames}, {kBundleNames}, {kCaNames}})
    for (const char* name : group) names += std::string(name) + " ";
  return names + "NODE_USE_ENV_PROXY HALTON_METER_ENV_PORT";
}

std::string env_sh_text(const EnvFilesPlan& plan) {
  return filled(kPosix, plan, false);
}
std::string env_fish_text(const EnvFilesPlan& plan) {
  return filled(kFish, plan, true);
}

// environment.d(5). The user manager reads it at login and at daemon-reload, from scratch each
// time, so that what is put in front of a list does not pile up.
std::string environment_d_text(const EnvFilesPlan& plan) {
  const auto quoted = [](const std::filesystem::path& path) {
    std::string out;
    for (const char c : path.native()) {
      if (c == '$') out += '$';
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  };
  const std::string port = std::to_string(plan.places.edge_port);
  std::string out = "# Written by halton-meter init --apps; halton-meter uninstall removes it.\n";
  for (const char* name : kProxyNames)
    out += std::string(name) + "=http://127.0.0.1:" + port + "\n";
  for (const char* name : kNoProxyNames)
    out.append(name)
        .append("=\"${")
        .append(name)
        .append(":+$")
        .append(name)
        .append(",}")
        .append(kLoopback)
        .append("\"\n");
  for (const char* name : kBundleNames)
    out += std::string(name) + "=\"" + quoted(plan.places.bundle) + "\"\n";
  for (const char* name : kCaNames)
    out += std::string(name) + "=\"" + quoted(added_roots(plan)) + "\"\n";
  out += "PYTHONPATH=\"" + quoted(plan.places.python_dir) + "${PYTHONPATH:+:$PYTHONPATH}\"\n";
  return out + "NODE_USE_ENV_PROXY=1\nHALTON_METER_ENV_PORT=" + port + "\n";
}

}  // namespace hm::cli
