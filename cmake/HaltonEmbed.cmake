# hm_embed_text(TARGET FILE FUNCTION HEADER): the bytes of FILE become part of TARGET, as the function
# FUNCTION (namespace included, declared in HEADER) that returns them as a std::string_view. The
# same file is the script that does the work at build time, so a changed FILE is built again.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" hex HEX)
  # Sixteen bytes a line.
  string(REPEAT "[0-9a-f][0-9a-f]" 16 line)
  string(REGEX REPLACE "(${line})" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "::[^:]*$" "" space "${FUNCTION}")
  string(REGEX REPLACE "^.*::" "" name "${FUNCTION}")
  file(WRITE "${OUTPUT}" "// Made from ${TITLE} at build time.
#include \"${HEADER}\"

namespace {
constexpr unsigned char kBytes[] = {
${bytes}};
}  // namespace

std::string_view ${space}::${name}() {
  return {reinterpret_cast<const char*>(kBytes), sizeof kBytes};
}
")
  return()
endif()

set(HM_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(hm_embed_text target file function header)
  get_filename_component(title "${file}" NAME)
  set(output "${CMAKE_BINARY_DIR}/embedded/${title}.cc")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_SOURCE_DIR}/${file} -DOUTPUT=${output} -DTITLE=${file}
            -DFUNCTION=${function} -DHEADER=${header} -P "${HM_EMBED_SCRIPT}"
    DEPENDS "${CMAKE_SOURCE_DIR}/${file}" "${HM_EMBED_SCRIPT}"
    COMMENT "Embedding ${file}" VERBATIM)
  target_sources(${target} PRIVATE "${output}")
endfunction()
