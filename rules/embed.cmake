# cmake -DFROM=file -DTO=file.c -DNAME=symbol -DHEADER=that/declares.h -P embed.cmake: a file as a C array.
file(READ ${FROM} octets HEX)
string(REGEX REPLACE "(................................)" "\\1\n" octets "${octets}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," octets "${octets}")
file(WRITE ${TO} "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] = {\n${octets}\n};\n"
	"const size_t ${NAME}_size = sizeof(${NAME});\n")
