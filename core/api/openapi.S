/* The OpenAPI document, byte for byte. */
	.section .rodata
	.global apd_openapi_begin
	.global apd_openapi_end
apd_openapi_begin:
	.incbin APD_OPENAPI_FILE
apd_openapi_end:
	.byte 0
	.section .note.GNU-stack,"",%progbits
