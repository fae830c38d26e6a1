# With HM_PRECOMPILE the standard headers that everybody includes are read once per build, not once per
# file. Everywhere in the sanitizer builds; of scripts/test's g++ build the tests only: they are not
# optimised, and g++ 12 warns of string concatenations that are fine (GCC PR 105329, 105651) when it
# optimises behind precompiled headers. The others prove that each file includes what it uses.
set(HM_COMMON_HEADERS <algorithm> <array> <charconv> <chrono> <cstdint> <expected> <filesystem>
    <functional> <map> <memory> <optional> <span> <string> <string_view> <utility> <vector>)
function(hm_precompiled name)
  if(NOT HM_PRECOMPILE)
    return()
  endif()
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/precompiled/${name}.cc" CONTENT "")
  add_library(${name} OBJECT "${CMAKE_BINARY_DIR}/precompiled/${name}.cc")
  target_link_libraries(${name} PRIVATE hm_flags)
  target_precompile_headers(${name} PRIVATE ${HM_COMMON_HEADERS} ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")  # the same headers are the same file, for ccache
    target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()
function(hm_reuse_precompiled target from)
  if(TARGET ${from})
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()


# hm_library(NAME FOLDER LINK ...): every .cc of one folder (not of its subfolders) but main.cc is a
# static library. A folder that holds headers only becomes an interface library.
function(hm_library name folder)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.cc")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
    target_link_libraries(${name} ${ARG_LINK} PRIVATE hm_flags)
    hm_reuse_precompiled(${name} hm_precompiled_headers)
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE "${CMAKE_SOURCE_DIR}")
    set(interface_links ${ARG_LINK})
    list(REMOVE_ITEM interface_links PUBLIC PRIVATE)
    target_link_libraries(${name} INTERFACE ${interface_links})
  endif()
endfunction()

function(hm_executable name main)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  if(NOT EXISTS "${CMAKE_SOURCE_DIR}/${main}")
    return()
  endif()
  add_executable(${name} "${CMAKE_SOURCE_DIR}/${main}")
  target_compile_definitions(${name} PRIVATE HM_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} hm_flags)
  install(TARGETS ${name} RUNTIME)
endfunction()

# hm_unit_tests(FOLDER LINK ... [ONE_THREAD]): tests/unit/FOLDER/*.cc are one Catch2 binary,
# unit_FOLDER. ONE_THREAD: neither the folder nor its tests start a thread, so that ThreadSanitizer
# has nothing to find; what its runtime cannot do (signals that arrive in a store to a lost page, fork
# in a signal's way) is in these folders too.
function(hm_unit_tests folder)
  cmake_parse_arguments(ARG "ONE_THREAD" "" "LINK" ${ARGN})
  if(ARG_ONE_THREAD AND HM_SANITIZE MATCHES "thread")
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/unit/${folder}/*.cc")
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${folder} ${sources})
  target_include_directories(unit_${folder} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_compile_options(unit_${folder} PRIVATE ${HM_TEST_OPTIONS})
  hm_reuse_precompiled(unit_${folder} hm_precompiled_tests)
  # The path of the checkout only where it is used: everything else is then the same object in every
  # checkout, and a compiler cache may share it.
  foreach(source ${sources})
    file(STRINGS "${source}" uses_path REGEX "HM_SOURCE_DIR" LIMIT_COUNT 1)
    if(uses_path)
      set_source_files_properties("${source}" PROPERTIES
        COMPILE_DEFINITIONS "HM_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"")
    endif()
  endforeach()
  target_link_libraries(unit_${folder} PRIVATE ${ARG_LINK} dep::catch2_main hm_flags)
  add_test(NAME unit_${folder} COMMAND unit_${folder})
  set_tests_properties(unit_${folder} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

# hm_fuzz(NAME LINK ...): tests/fuzz/NAME.cc defines LLVMFuzzerTestOneInput.
function(hm_fuzz name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  if(NOT HM_FUZZ OR NOT EXISTS "${CMAKE_SOURCE_DIR}/tests/fuzz/${name}.cc")
    return()
  endif()
  add_executable(fuzz_${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/${name}.cc")
  target_include_directories(fuzz_${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_LINK} hm_flags)
endfunction()
