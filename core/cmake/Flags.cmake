# How apd is compiled: the language, the warnings, the sanitizers and the hardening.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla
	-Wstrict-prototypes -Wmissing-prototypes -Werror=implicit -fno-omit-frame-pointer)
if(APD_WERROR)
	add_compile_options(-Werror)
endif()

if(APD_SANITIZE)
	add_compile_options(-fsanitize=${APD_SANITIZE} -fno-sanitize-recover=all)
	add_link_options(-fsanitize=${APD_SANITIZE})
	if(APD_FUZZ)
		# Inputs a second are what finds bugs.
		add_compile_options(-fsanitize=fuzzer-no-link -O1)
	endif()
endif()

if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
	set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
	add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
		-fstack-clash-protection)
	add_link_options(-Wl,-z,relro,-z,now)
endif()
