module libmemo.io/go

go 1.19
