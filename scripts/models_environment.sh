# compare_model.sh and bench_peers.sh source this file after common.sh. It makes Python environments that hold transformers, with PyTorch
# from LibTorch's wheel. pip installs exactly the packages of the lock files, and each lock file is installed again when it changes.
# shellcheck shell=bash
# shellcheck disable=SC2154  # common.sh sets repo, cache and libtorch

transformers_lock=$repo/tests/models/requirements.txt
llama_cpp_lock=$repo/tests/models/requirements_llama_cpp.txt

install_locked() {  # install_locked VENV OPTION...
  local venv=$1
  shift
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes "$@" </dev/null
}

# transformers_environment VENV: makes the environment, or makes it again when its lock file has changed.
transformers_environment() {
  local venv=$1 site
  if cmp -s "$transformers_lock" "$venv/.terse-lock"; then return; fi
  say "Python environment with transformers -> $venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  install_locked "$venv" --only-binary=:all: -r "$transformers_lock" ||
    die 1 "could not install the packages of $transformers_lock; run the command again"
  for site in "$venv"/lib/python3.*/site-packages; do echo "$libtorch" >"$site/libtorch.pth"; done
  cp "$transformers_lock" "$venv/.terse-lock"
}

# add_packages VENV NAME LOCK: adds the wheels of a lock file to the environment.
add_packages() {
  local venv=$1 name=$2 lock=$3
  if cmp -s "$lock" "$venv/.terse-$name-lock"; then return; fi
  say "adding $name -> $venv"
  install_locked "$venv" --only-binary=:all: -r "$lock" || die 1 "could not install the packages of $lock; run the command again"
  cp "$lock" "$venv/.terse-$name-lock"
}

# add_llama_cpp VENV: builds llama.cpp in the environment.
add_llama_cpp() {
  local venv=$1 tools jobs
  if cmp -s "$llama_cpp_lock" "$venv/.terse-llama-cpp-lock"; then return; fi
  say "building llama.cpp -> $venv"
  tools=$(mktemp)
  trap 'rm -f "$tools"' EXIT
  sed '/^llama-cpp-python/,$d' "$llama_cpp_lock" >"$tools"
  jobs=$(build_jobs /proc/meminfo)
  if ! install_locked "$venv" --only-binary=:all: -r "$tools" ||
    ! CMAKE_ARGS=-DLLAVA_BUILD=OFF CMAKE_BUILD_PARALLEL_LEVEL=$jobs \
      install_locked "$venv" --no-build-isolation --no-binary=llama-cpp-python -r "$llama_cpp_lock"; then
    die 1 "could not install the packages of $llama_cpp_lock; run the command again"
  fi
  cp "$llama_cpp_lock" "$venv/.terse-llama-cpp-lock"
  rm -f "$tools"
  trap - EXIT
}
