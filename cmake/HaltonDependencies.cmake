# Every third-party library behind one name, dep::X, with its headers as system headers. All are
# Debian 12 packages (scripts/deps.sh installs them); BORINGSSL_ROOT accepts an upstream build.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

function(hm_pkg_config name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
  add_library(dep_${name} INTERFACE)
  target_link_libraries(dep_${name} INTERFACE PkgConfig::${name})
  add_library(dep::${name} ALIAS dep_${name})
endfunction()

hm_pkg_config(uv libuv)
hm_pkg_config(nghttp2 libnghttp2)
hm_pkg_config(zlib zlib)
hm_pkg_config(zstd libzstd)
hm_pkg_config(sqlite3 sqlite3)

pkg_check_modules(brotli REQUIRED IMPORTED_TARGET libbrotlidec libbrotlienc)
add_library(dep_brotli INTERFACE)
target_link_libraries(dep_brotli INTERFACE PkgConfig::brotli)
add_library(dep::brotli ALIAS dep_brotli)

# fmt from its headers: one shared library less to load, and the edge's dynamic dependencies stay
# libuv and the C library.
find_package(fmt REQUIRED)
add_library(dep::fmt ALIAS fmt::fmt-header-only)

# Header-only toml++: one translation unit includes it.
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
add_library(dep_tomlplusplus INTERFACE)
target_include_directories(dep_tomlplusplus SYSTEM INTERFACE ${TOMLPLUSPLUS_INCLUDE_DIR})
target_compile_definitions(dep_tomlplusplus INTERFACE TOML_EXCEPTIONS=0)
add_library(dep::tomlplusplus ALIAS dep_tomlplusplus)

find_path(RAPIDJSON_INCLUDE_DIR rapidjson/document.h REQUIRED)
# RapidJSON 1.1.0 assigns to a const member, which clang 19 refuses, and adds to a null pointer, which
# UBSan stops. Used is a copy with these two lines mended.
file(COPY "${RAPIDJSON_INCLUDE_DIR}/rapidjson" DESTINATION "${CMAKE_BINARY_DIR}/patched"
     PATTERN document.h EXCLUDE PATTERN stack.h EXCLUDE)
function(hm_mend_rapidjson file fault better)
  file(READ "${RAPIDJSON_INCLUDE_DIR}/rapidjson/${file}" text)
  string(REPLACE "${fault}" "${better}" text "${text}")
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/patched/rapidjson/${file}" CONTENT "${text}" @ONLY)
endfunction()
hm_mend_rapidjson(document.h
  "GenericStringRef& operator=(const GenericStringRef& rhs) { s = rhs.s; length = rhs.length; }"
  "GenericStringRef& operator=(const GenericStringRef&) = delete;")
hm_mend_rapidjson(internal/stack.h
  "if (RAPIDJSON_UNLIKELY(stackTop_ + sizeof(T) * count > stackEnd_))"
  "if (RAPIDJSON_UNLIKELY(static_cast<std::ptrdiff_t>(sizeof(T) * count) > stackEnd_ - stackTop_))")
add_library(dep_rapidjson INTERFACE)
target_include_directories(dep_rapidjson SYSTEM BEFORE INTERFACE "${CMAKE_BINARY_DIR}/patched")
add_library(dep::rapidjson ALIAS dep_rapidjson)

find_path(CXXOPTS_INCLUDE_DIR cxxopts.hpp REQUIRED)
add_library(dep_cxxopts INTERFACE)
target_include_directories(dep_cxxopts SYSTEM INTERFACE ${CXXOPTS_INCLUDE_DIR})
add_library(dep::cxxopts ALIAS dep_cxxopts)

find_library(SQLITECPP_LIBRARY SQLiteCpp REQUIRED)
find_path(SQLITECPP_INCLUDE_DIR SQLiteCpp/SQLiteCpp.h REQUIRED)
add_library(dep_sqlitecpp INTERFACE)
target_include_directories(dep_sqlitecpp SYSTEM INTERFACE ${SQLITECPP_INCLUDE_DIR})
target_link_libraries(dep_sqlitecpp INTERFACE ${SQLITECPP_LIBRARY} dep_sqlite3)
add_library(dep::sqlitecpp ALIAS dep_sqlitecpp)

# BoringSSL: never the system's OpenSSL headers by accident, so its path must come first (BEFORE),
# and the shared library of Debian sits in a private folder, so the run path names it.
set(BORINGSSL_ROOT "" CACHE PATH "Upstream BoringSSL build (include/, lib/) instead of Debian's")
add_library(dep_boringssl INTERFACE)
if(BORINGSSL_ROOT)
  find_library(BORINGSSL_SSL ssl PATHS ${BORINGSSL_ROOT} PATH_SUFFIXES lib build/ssl build
               NO_DEFAULT_PATH REQUIRED)
  find_library(BORINGSSL_CRYPTO crypto PATHS ${BORINGSSL_ROOT} PATH_SUFFIXES lib build/crypto build
               NO_DEFAULT_PATH REQUIRED)
  set(BORINGSSL_INCLUDE_DIR ${BORINGSSL_ROOT}/include)
else()
  find_path(BORINGSSL_INCLUDE_DIR openssl/base.h PATHS /usr/include/android NO_DEFAULT_PATH REQUIRED)
  find_library(BORINGSSL_SSL ssl PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android
               NO_DEFAULT_PATH REQUIRED)
  find_library(BORINGSSL_CRYPTO crypto PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android
               NO_DEFAULT_PATH REQUIRED)
  set(CMAKE_INSTALL_RPATH /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android)
  # At once: otherwise what is not installed yet holds that place with colons, and an empty entry of
  # the run path is the current folder of whoever starts the program.
  set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
endif()
target_include_directories(dep_boringssl SYSTEM BEFORE INTERFACE ${BORINGSSL_INCLUDE_DIR})
target_link_libraries(dep_boringssl INTERFACE ${BORINGSSL_SSL} ${BORINGSSL_CRYPTO} Threads::Threads)
add_library(dep::boringssl ALIAS dep_boringssl)

if(BUILD_TESTING OR NOT DEFINED BUILD_TESTING)
  find_library(CATCH2_MAIN Catch2WithMain)
  find_path(CATCH2_INCLUDE_DIR catch2/catch.hpp)
  if(CATCH2_MAIN AND CATCH2_INCLUDE_DIR)
    add_library(dep_catch2_main INTERFACE)
    target_include_directories(dep_catch2_main SYSTEM INTERFACE ${CATCH2_INCLUDE_DIR})
    target_link_libraries(dep_catch2_main INTERFACE ${CATCH2_MAIN})
    add_library(dep::catch2_main ALIAS dep_catch2_main)
  endif()
endif()
