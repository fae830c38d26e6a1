# Language level, warnings and instrumentation, the same for every target of the project.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

set(HM_SANITIZE "" CACHE STRING "Sanitizers for every target: address,undefined or thread")
option(HM_HARDEN "Release hardening: fortify, stack protector, RELRO, LTO" OFF)
option(HM_FUZZ "Build the fuzz targets (needs clang)" OFF)
set(HM_PRECOMPILE OFF CACHE STRING "Precompile the common headers: ON, OFF or TESTS (the tests only)")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

add_library(hm_flags INTERFACE)
target_compile_options(hm_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wshadow;-Werror>)

if(HM_SANITIZE)
  add_compile_options(-fsanitize=${HM_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${HM_SANITIZE})
  if(HM_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(HM_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)
  endif()
endif()

if(HM_FUZZ)
  # Coverage feedback everywhere; the libFuzzer main only in the fuzz targets.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(HM_HARDEN)
  add_compile_options(-fstack-protector-strong -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT HM_HAS_LTO OUTPUT _ignored)
  if(HM_HAS_LTO)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  endif()
endif()
