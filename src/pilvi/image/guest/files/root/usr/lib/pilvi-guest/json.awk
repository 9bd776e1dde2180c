# Prints each string, number and word of a JSON text as PATH<tab>VALUE, a line each: public_keys/mykey<tab>ssh-ed25519 AAAA...
# A \u escape stays as it is; line breaks inside a string become spaces.

function fail() { print "not JSON" > "/dev/stderr"; exit 1 }

function blank() { sub(/^[ \t\r\n]+/, "", text) }

function string(   raw) {
	if (!match(text, /^"([^"\\]|\\.)*"/)) fail()
	raw = substr(text, 2, RLENGTH - 2)
	text = substr(text, RLENGTH + 1)
	gsub(/\\\\/, "\001", raw)
	gsub(/\\[nrtbf]/, " ", raw)
	gsub(/\\"/, "\"", raw)
	gsub(/\\\//, "/", raw)
	gsub(/\001/, "\\", raw)
	return raw
}

function members(path, close_,   name, count) {
	text = substr(text, 2)
	blank()
	while (substr(text, 1, 1) != close_) {
		if (close_ == "}") {
			name = string()
			blank()
			if (substr(text, 1, 1) != ":") fail()
			text = substr(text, 2)
		} else name = count++
		value(path == "" ? name : path "/" name)
		blank()
		if (substr(text, 1, 1) == ",") { text = substr(text, 2); blank() }
		else if (substr(text, 1, 1) != close_) fail()
	}
	text = substr(text, 2)
}

function value(path,   first) {
	blank()
	first = substr(text, 1, 1)
	if (first == "{") members(path, "}")
	else if (first == "[") members(path, "]")
	else if (first == "\"") print path "\t" string()
	else if (match(text, /^[-+.0-9a-zA-Z]+/)) {
		first = substr(text, 1, RLENGTH)
		text = substr(text, RLENGTH + 1)
		print path "\t" first
	} else fail()
}

{ text = text $0 "\n" }
END { value("") }
