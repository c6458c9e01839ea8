package differences

import "strings"

// Signatures and what lies around a request are looked at before anything of the
// operation; these requests go to Millstream alone.

func signed(headers map[string]string, query string) func(g *gen) *Request {
	return func(g *gen) *Request {
		return &Request{Op: "ListTables", Body: object{}, Headers: headers, Query: query}
	}
}

func authorization(credential, others string) map[string]string {
	return map[string]string{"Authorization": "AWS4-HMAC-SHA256 " + credential + others}
}

const (
	credential = "Credential=AKID/20260101/us-east-1/dynamodb/aws4_request"
	restSigned = ", SignedHeaders=host;x-amz-date, Signature=ff"
)

var signatureRecipes = []recipe{
	{"A.4 none", 0, signed(map[string]string{"Authorization": ""}, "")},
	{"A.4 none", 0, signed(map[string]string{"Authorization": "Basic abc"}, "")},
	{"A.4 twice", 0, signed(map[string]string{}, "?X-Amz-Algorithm=AWS4-HMAC-SHA256")},
	{"A.4 header lacks", 0, func(g *gen) *Request {
		return signed(pick(g, authorization("Signature=ff", ""), authorization(credential, ""), authorization("", "SignedHeaders=host"), map[string]string{"X-Amz-Date": ""}), "")(g)
	}},
	{"A.4 query lacks", 0, signed(map[string]string{"Authorization": ""}, "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z")},
	{"A.4 not a pair", 0, signed(authorization(credential, ", SignedHeaders, Signature=ff"), "")},
	{"A.4 date", 0, signed(map[string]string{"X-Amz-Date": "yesterday"}, "")},
	{"A.4 host", 0, signed(authorization(credential, ", SignedHeaders=x-amz-date, Signature=ff"), "")},
	{"A.4 algorithm", 0, signed(map[string]string{"Authorization": "AWS4-HMAC-MD5 " + credential + restSigned}, "")},
	{"A.4 credential", 0, signed(authorization("Credential=AKID/20260101/us-east-1/dynamodb", restSigned), "")},
	{"A.4 region", 0, signed(authorization(strings.Replace(credential, "us-east-1", "us_east", 1), restSigned), "")},
	{"A.4 terminator", 0, signed(authorization(strings.Replace(credential, "aws4", "aws5", 1), restSigned), "")},
	{"A.3 target", 0, signed(map[string]string{"X-Amz-Target": "DynamoDB_20111205.ListTables"}, "")},
}
