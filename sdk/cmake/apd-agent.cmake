# apd_add_agent(NAME SOURCES... [LIBRARIES libs...] [OUTPUT_DIRECTORY dir])
#
# Builds the plugin NAME.so from SOURCES: a module that exports ap_plugin_v1 and
# nothing else, finds every symbol it needs when it is linked, and binds them
# when it is loaded. NAME is also the name of the target.
#
# LIBRARIES         what the plugin itself links, for example jansson or CURL::libcurl
# OUTPUT_DIRECTORY  where NAME.so goes; default: ${APD_AGENT_OUTPUT_DIRECTORY}, else
#                   the current binary directory
#
# Used from apd's own tree and, through find_package(apd-sdk), from anywhere.

function(apd_add_agent name)
	cmake_parse_arguments(ARG "" "OUTPUT_DIRECTORY" "LIBRARIES" ${ARGN})
	if(NOT ARG_UNPARSED_ARGUMENTS)
		message(FATAL_ERROR "apd_add_agent(${name}): no sources")
	endif()
	if(NOT ARG_OUTPUT_DIRECTORY)
		set(ARG_OUTPUT_DIRECTORY ${APD_AGENT_OUTPUT_DIRECTORY})
	endif()
	if(NOT ARG_OUTPUT_DIRECTORY)
		set(ARG_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
	endif()

	set(version_script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/ap-plugin.map)
	add_library(${name} MODULE ${ARG_UNPARSED_ARGUMENTS})
	target_link_libraries(${name} PRIVATE apd::sdk ${ARG_LIBRARIES})
	set_target_properties(${name} PROPERTIES
		PREFIX ""
		SUFFIX ".so"
		C_VISIBILITY_PRESET hidden
		CXX_VISIBILITY_PRESET hidden
		VISIBILITY_INLINES_HIDDEN ON
		POSITION_INDEPENDENT_CODE ON
		# apd refuses run paths: they would let files beside the plugin replace libraries.
		SKIP_BUILD_RPATH ON
		SKIP_INSTALL_RPATH ON
		LIBRARY_OUTPUT_DIRECTORY ${ARG_OUTPUT_DIRECTORY}
		LINK_DEPENDS ${version_script}
	)
	target_link_options(${name} PRIVATE
		-Wl,--version-script=${version_script} -Wl,-z,now -Wl,-z,nodelete)
	# The sanitizers' symbols are the host program's, so they are open when a module is linked.
	if(NOT APD_SANITIZE AND NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize")
		target_link_options(${name} PRIVATE -Wl,-z,defs)
	endif()
	set_property(GLOBAL APPEND PROPERTY APD_AGENTS ${name})
endfunction()
